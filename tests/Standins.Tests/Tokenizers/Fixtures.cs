using System.Text.Json;
using Microsoft.ML.Tokenizers;

namespace Standins.Tests.Tokenizers;

/// <summary>A text, its ids, and the text that the ids decode to.</summary>
public sealed record Reference(string Text, int[] Ids, string? Decoded)
{
    /// <inheritdoc/>
    public override string ToString() => JsonSerializer.Serialize(Text.Length < 60 ? Text : Text[..60]);
}

/// <summary>The files in tests/golden/tokenizers; the script <c>make</c> there says how they came to be.</summary>
internal static class Fixtures
{
    private static readonly JsonSerializerOptions Options = new() { PropertyNameCaseInsensitive = true };

    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "golden", "tokenizers");

    /// <summary>Texts with the ids of spm_encode and the decoded texts of spm_decode, by model.</summary>
    public static IReadOnlyDictionary<string, Reference[]> SentencePiece { get; } =
        JsonSerializer.Deserialize<Dictionary<string, Reference[]>>(File.ReadAllText(PathOf("sentencepiece.json")), Options)!;

    /// <summary>Texts with the ids of the plain encoder in byte_level.py.</summary>
    public static Reference[] ByteLevel { get; } =
        JsonSerializer.Deserialize<Reference[]>(File.ReadAllText(PathOf("byte-level.json")), Options)!;

    public static string PathOf(string file) => Path.Combine(Folder, file);

    public static byte[] Bytes(string model) => File.ReadAllBytes(PathOf(model + ".model"));

    public static LlamaTokenizer Open(string model, bool begin = false, bool end = false, IReadOnlyDictionary<string, int>? specialTokens = null)
    {
        using var file = File.OpenRead(PathOf(model + ".model"));
        return LlamaTokenizer.Create(file, begin, end, specialTokens);
    }
}
