namespace CutoffLen.Tokenization;

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
