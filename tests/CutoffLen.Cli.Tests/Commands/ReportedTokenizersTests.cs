using CutoffLen.Tokenization;

namespace CutoffLen.Cli.Tests.Commands;

/// <summary>Tokenizers that public reports say go wrong, from a folder with them to the ids.</summary>
public sealed class ReportedTokenizersTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("byte-level-vocabulary-with-gaps", "hello world 42", "245 248 109 101 33 53 51")]
    [InlineData("byte-level-vocabulary-with-gaps", "\U00040000hello\U000F0000", "129 129 129 245 240 177 129 129")]
    [InlineData("split-regex-beyond-ffff", "hello world42\U00010400", "0 261 264 110 102 54 52 242 146 146 130")]
    public void A_checkpoint_made_of_it_gives_Hugging_Faces_ids(string name, string text, string ids)
    {
        Cutoff.Run("init", "--config", Golden.Path($"tokenizers/reported/{name}"), "--out", folder["out"]).Exits(0);
        Assert.Equal(ids + "\n", Cutoff.Run("tokenize", "--model", folder["out"], text).Exits(0).Output);
    }

    [Fact]
    public void A_padding_token_beyond_the_vocabulary_is_no_fault_until_a_text_has_it()
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 0);
        var size = CheckpointTokenizer.Open(folder["model"]).VocabularySize;
        var added = folder.Write("model/added_tokens.json", $"{{\"[PAD]\":{size}}}");
        string[] command = ["eval-ppl", "--model", folder["model"], "--lengths", "8", "--protocol", "prefix", "--device", "cpu", "--dtype", "fp32"];
        var plain = folder.Write("plain.jsonl", """{"text":"One day a girl named Lily found a needle in her room."}""");
        Cutoff.Run([.. command, "--data", plain, "--out", folder["plain"]]).Exits(0);
        var padded = folder.Write("padded.jsonl", """{"text":"One day a girl [PAD] named Lily found a needle in her room."}""");
        var line = Assert.Single(Cutoff.Run([.. command, "--data", padded, "--out", folder["padded"]]).Exits(1).ErrorLines);
        Assert.Contains($"{added}: the token '[PAD]' has id {size}, but the model's vocab_size is {size}", line, StringComparison.Ordinal);
    }
}
