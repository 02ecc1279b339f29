namespace CutoffLen.Tokenization;

/// <summary>What a tokenizer file says about plain text: how it becomes tokens, and what bytes each token is.</summary>
internal abstract class TokenModel
{
    /// <summary>Each token of the vocabulary as the file spells it, by id.</summary>
    public required IReadOnlyDictionary<int, string> Tokens { get; init; }

    /// <summary>What decoding takes from the beginning of the text: the space that encoding put there.</summary>
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
