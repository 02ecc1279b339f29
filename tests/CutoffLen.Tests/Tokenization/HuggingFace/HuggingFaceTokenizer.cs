using System.Text.Json.Nodes;
using CutoffLen.Tokenization;
using Tokenizers.DotNet;

namespace CutoffLen.Tests.Tokenization.HuggingFace;

/// <summary>A tokenizer.json read by us and by Hugging Face's own library (tokenizers 0.22.2, in Rust).</summary>
internal sealed class HuggingFaceTokenizer : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly Tokenizer reference;

    public HuggingFaceTokenizer(JsonObject json)
    {
        var path = folder.Write("tokenizer.json", json.ToJsonString());
        reference = new Tokenizer(path);
        Ours = new Lazy<CheckpointTokenizer>(() => CheckpointTokenizer.Open(folder.Root));
    }

    public Lazy<CheckpointTokenizer> Ours { get; }

    /// <summary>The library's ids, with those of the post-processor.</summary>
    public int[] Encode(string text) => Array.ConvertAll(reference.Encode(text), id => (int)id);

    /// <summary>The library's text, without special tokens.</summary>
    public string Decode(int[] ids) => reference.Decode(Array.ConvertAll(ids, id => (uint)id));

    /// <summary>What differs for a text, in words; null when nothing does.</summary>
    public string? Difference(string text)
    {
        var ids = Encode(text);
        var ours = Ours.Value.Encode(text);
        return !ids.AsSpan().SequenceEqual(ours) ? $"{Show(text)}: ids [{string.Join(' ', ours)}], expected [{string.Join(' ', ids)}]"
            : Decode(ids) is var decoded && Ours.Value.Decode(ids, skipSpecial: true) is var oursDecoded && decoded != oursDecoded
                ? $"{Show(text)}: decoded {Show(oursDecoded)}, expected {Show(decoded)}"
            : null;
    }

    public void Dispose()
    {
        reference.Dispose();
        folder.Dispose();
    }

    private static string Show(string text) => JsonValue.Create(text).ToJsonString();
}
