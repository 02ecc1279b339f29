namespace CutoffLen.Tokenization;

/// <summary>How plain text becomes tokens, and which bytes each token is.</summary>
internal abstract class TokenModel
{
    /// <summary>Each token of the vocabulary as the file spells it, by id.</summary>
    public required IReadOnlyDictionary<int, string> Tokens { get; init; }

    /// <summary>The spaces that decoding removes at the beginning, because encoding put them there.</summary>
    public LeadingSpace Strip { get; init; }

    /// <summary>In words, for people.</summary>
    public abstract string Kind { get; }

    /// <summary>The text as byte pair encoding sees it.</summary>
    /// <param name="text">A part of a text between added tokens.</param>
    /// <param name="first">Whether the text begins with it.</param>
    public abstract string Normalize(string text, bool first);

    /// <summary>The bytes that a token stands for.</summary>
    /// <param name="token">As the file spells it.</param>
    public abstract byte[] Bytes(string token);

    /// <summary>Appends the ids of normalized text.</summary>
    public abstract void Encode(string normalized, List<int> ids);
}

/// <summary>Which spaces at the beginning of a decoded text are not the text's own.</summary>
internal enum LeadingSpace
{
    /// <summary>All are the text's own.</summary>
    Kept,

    /// <summary>The first one was put there.</summary>
    One,

    /// <summary>The text can't begin with spaces: encoding removes them.</summary>
    All,
}

/// <summary>A tokenizer file, read.</summary>
/// <param name="Model">What it does with plain text.</param>
/// <param name="Added">Tokens that are found in text as they stand.</param>
/// <param name="Before">Ids that the file itself puts before a text.</param>
/// <param name="After">Ids that the file itself puts after a text.</param>
/// <param name="Bos">The id that begins texts, where the file says so.</param>
/// <param name="Eos">The id that ends texts, where the file says so.</param>
/// <param name="Controls">Tokens that no text becomes but that have a meaning (BOS, EOS, unknown).</param>
internal sealed record TokenizerDefinition(
    TokenModel Model,
    IReadOnlyList<AddedToken> Added,
    IReadOnlyList<int> Before,
    IReadOnlyList<int> After,
    int? Bos,
    int? Eos,
    IReadOnlyList<AddedToken> Controls);
