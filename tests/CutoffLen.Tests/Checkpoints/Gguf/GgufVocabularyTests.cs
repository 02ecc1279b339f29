using System.Text;
using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Tests.Tokenization.HuggingFace;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Checkpoints.Gguf;

/// <summary>A tokenizer.json that was made of a GGUF file in Hugging Face's own library. That its ids are llama.cpp's, tests/CutoffLen.LlamaCppTests says.</summary>
public sealed class GgufVocabularyTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly string? cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");

    [Theory]
    [InlineData("Llama 3")]
    [InlineData("Qwen2")]
    [InlineData("Granite")]
    public void The_tokenizers_library_reads_it_and_gives_the_same_ids(string family)
    {
        folder.Write("tokenizer/tokenizer.json", Encoding.UTF8.GetBytes(TokenizerFamilies.All[family]().ToJsonString()));
        TinyCheckpoint.Save(folder["model"], TinyCheckpoint.Config with { VocabSize = CheckpointTokenizer.Open(folder["tokenizer"]).VocabularySize + 3 });
        File.Copy(folder["tokenizer/tokenizer.json"], folder["model/tokenizer.json"]);
        GgufExport.Write(folder["model"], folder["model.gguf"]);
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", folder["cache"]);
        using var both = new HuggingFaceTokenizer(JsonNode.Parse(File.ReadAllText(Path.Combine(GgufImport.Folder(folder["model.gguf"]), "tokenizer.json")))!.AsObject());
        Assert.Empty(SampleTexts.Fixed.Select(both.Difference).OfType<string>());
    }

    public void Dispose()
    {
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", cache);
        folder.Dispose();
    }
}
