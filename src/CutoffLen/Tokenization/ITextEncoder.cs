namespace CutoffLen.Tokenization;

/// <summary>What the token cache needs of a tokenizer. Calls come from several threads at once.</summary>
public interface ITextEncoder
{
    /// <summary>V; every id is below it.</summary>
    int VocabularySize { get; }

    /// <summary>
    /// A hash over everything that decides which ids a text gets: the tokenizer's files and the version of the code
    /// that reads them. Two tokenizers with one fingerprint share cached tokens.
    /// </summary>
    string Fingerprint { get; }

    /// <summary>The ids of a text, without begin or end tokens.</summary>
    IReadOnlyList<int> Encode(string text);
}

/// <summary>The special tokens of a tokenizer, and those that its post-processor puts around every text.</summary>
/// <param name="Bos">The token that begins a text, or null where the vocabulary has none.</param>
/// <param name="Eos">The token that ends a text, or null.</param>
/// <param name="Before">Put before a text, usually BOS; may be empty.</param>
/// <param name="After">Put after a text, usually EOS; may be empty.</param>
public sealed record SpecialTokens(int? Bos, int? Eos, IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    /// <summary>A tokenizer without any.</summary>
    public static SpecialTokens None { get; } = new(null, null, [], []);

    /// <summary>Whether texts begin with BOS.</summary>
    public bool AddsBos => Bos is { } bos && Before is [var first, ..] && first == bos;
}
