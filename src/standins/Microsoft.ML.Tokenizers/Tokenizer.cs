namespace Microsoft.ML.Tokenizers;

/// <summary>Turns text into token ids and ids back into text.</summary>
public abstract class Tokenizer
{
    /// <summary>Only the tokenizers of this assembly derive from it: the package's protected members are left out.</summary>
    protected Tokenizer()
    {
    }

    /// <summary>What cuts the text into words before it is encoded; null where nothing does.</summary>
    public virtual PreTokenizer? PreTokenizer => null;

    /// <summary>What rewrites the text before it is cut and encoded; null where nothing does.</summary>
    public virtual Normalizer? Normalizer => null;

    /// <summary>The ids of a text; null and empty texts have none.</summary>
    /// <param name="text">The text.</param>
    /// <param name="considerPreTokenization">False: the whole text is one word.</param>
    /// <param name="considerNormalization">False: the text is taken as it is.</param>
    public IReadOnlyList<int> EncodeToIds(string text, bool considerPreTokenization = true, bool considerNormalization = true) =>
        string.IsNullOrEmpty(text) ? [] : EncodeIds(Normalized(text, considerNormalization) ?? text, considerPreTokenization);

    /// <inheritdoc cref="EncodeToIds(string, bool, bool)"/>
    public IReadOnlyList<int> EncodeToIds(ReadOnlySpan<char> text, bool considerPreTokenization = true, bool considerNormalization = true) =>
        EncodeToIds(text.ToString(), considerPreTokenization, considerNormalization);

    /// <summary>The tokens of a text: ids, strings, and the parts of the (normalized) text they stand for.</summary>
    /// <param name="text">The text.</param>
    /// <param name="normalizedText">The text after normalization; null where none took place.</param>
    /// <param name="considerPreTokenization">False: the whole text is one word.</param>
    /// <param name="considerNormalization">False: the text is taken as it is.</param>
    public IReadOnlyList<EncodedToken> EncodeToTokens(string text, out string? normalizedText, bool considerPreTokenization = true, bool considerNormalization = true)
    {
        normalizedText = Normalized(text, considerNormalization);
        return string.IsNullOrEmpty(text) ? [] : EncodeTokens(normalizedText ?? text, considerPreTokenization);
    }

    /// <inheritdoc cref="EncodeToTokens(string, out string?, bool, bool)"/>
    public IReadOnlyList<EncodedToken> EncodeToTokens(ReadOnlySpan<char> text, out string? normalizedText, bool considerPreTokenization = true, bool considerNormalization = true) =>
        EncodeToTokens(text.ToString(), out normalizedText, considerPreTokenization, considerNormalization);

    /// <summary>How many ids a text has.</summary>
    public int CountTokens(string text, bool considerPreTokenization = true, bool considerNormalization = true) =>
        EncodeToIds(text, considerPreTokenization, considerNormalization).Count;

    /// <inheritdoc cref="CountTokens(string, bool, bool)"/>
    public int CountTokens(ReadOnlySpan<char> text, bool considerPreTokenization = true, bool considerNormalization = true) =>
        EncodeToIds(text, considerPreTokenization, considerNormalization).Count;

    /// <summary>The text of ids; ids outside the vocabulary have none.</summary>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is null.</exception>
    public virtual string Decode(IEnumerable<int> ids) => DecodeIds(ids);

    private protected abstract List<int> EncodeIds(string normalizedText, bool preTokenize);

    private protected abstract List<EncodedToken> EncodeTokens(string normalizedText, bool preTokenize);

    private protected abstract string DecodeIds(IEnumerable<int> ids);

    private protected string? Normalized(string? text, bool considerNormalization) =>
        considerNormalization && !string.IsNullOrEmpty(text) ? Normalizer?.Normalize(text) : null;
}
