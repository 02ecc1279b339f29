using System.Text.Json.Nodes;
using CutoffLen.Tokenization;

namespace CutoffLen.Soak.Files;

/// <summary>
/// A tokenizer's files. A damaged vocabulary is another vocabulary, so only files that still say the same have a meaning to
/// compare with; all that load must give ids of the vocabulary and read them back.
/// </summary>
internal abstract class TokenizerKind(string name, string file, string golden) : DamagedKind(name, file)
{
    private const string Sample = "Call me Ishmael. <|sep|> caf\u00E9 \u9CB8 \U0001F600 12345\n\n  the whale";

    private const string LlamaRules = """
        {"add_bos_token":true,"add_eos_token":false,"bos_token":"<s>","eos_token":{"content":"</s>"},"tokenizer_class":"LlamaTokenizer",
        "added_tokens_decoder":{"1":{"content":"<s>","special":true},"550":{"content":"<pad>","special":true}}}
        """;

    private const int VocabSize = 600;

    public override void Prepare(TemporaryFolder folder)
    {
        var path = Directory.GetFiles(Golden.Path($"tokenizers/{golden}"), "tokenizer.*").Single();
        folder.Write($"model/{Path.GetFileName(path)}", File.ReadAllBytes(path));
        if (golden != "bytes")
        {
            folder.Write("model/tokenizer_config.json", LlamaRules);
        }
    }

    public override Meaning Read(TemporaryFolder folder)
    {
        var tokenizer = CheckpointTokenizer.Open(folder["model"], VocabSize);
        var ids = tokenizer.Encode(Sample);
        return Meaning.Of($"{tokenizer.Description} {string.Join(' ', ids)} {string.Join(' ', tokenizer.SpecialTokens.Before)} {tokenizer.Decode(ids)}");
    }

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original) => null;
}

/// <summary>tokenizer.model.</summary>
internal sealed class SentencePieceKind() : TokenizerKind("tokenizer_model", "model/tokenizer.model", "sp-kept")
{
    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Binary(original);
}

/// <summary>tokenizer.json or tokenizer_config.json: values of keys that were not touched stay.</summary>
internal sealed class TokenizerJsonKind(string name, string file, string golden) : TokenizerKind(name, $"model/{file}", golden)
{
    private JsonObject whole = [];

    public override void Prepare(TemporaryFolder folder)
    {
        base.Prepare(folder);
        whole = PlainReaders.Json(File.ReadAllBytes(folder[FileName]));
    }

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Json(original);

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original) =>
        JsonNode.DeepEquals(PlainReaders.Json(damaged), whole) ? original.DifferenceFrom(found) : null;
}
