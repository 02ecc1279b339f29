using System.Text;

namespace Microsoft.ML.Tokenizers;

/// <summary>
/// What a SentencePiece model does to white space before encoding. Only ' ' counts as white space; replacement rules of
/// the model (its precompiled character map) are not applied.
/// </summary>
public sealed class SentencePieceNormalizer : Normalizer
{
    internal const char EscapedSpace = '\u2581';

    /// <summary>A normalizer with these settings.</summary>
    /// <param name="removeExtraWhiteSpaces">Trim the text and make each run of spaces one space.</param>
    /// <param name="addDummyPrefix">Put a space before the text, so that its first word looks like any other.</param>
    /// <param name="escapeWhiteSpaces">Write spaces as U+2581.</param>
    /// <param name="treatWhitespaceAsSuffix">The added space goes after the text.</param>
    /// <param name="specialTokens">The added space goes between them and the text, where the text begins (or ends) with some. Null for none.</param>
    public SentencePieceNormalizer(bool removeExtraWhiteSpaces, bool addDummyPrefix, bool escapeWhiteSpaces, bool treatWhitespaceAsSuffix, IReadOnlyDictionary<string, int>? specialTokens)
    {
        RemoveExtraWhiteSpaces = removeExtraWhiteSpaces;
        AddDummyPrefix = addDummyPrefix;
        EscapeWhiteSpaces = escapeWhiteSpaces;
        TreatWhitespaceAsSuffix = treatWhitespaceAsSuffix;
        SpecialTokens = specialTokens;
    }

    /// <summary>Whether the text is trimmed and each run of spaces becomes one space.</summary>
    public bool RemoveExtraWhiteSpaces { get; }

    /// <summary>Whether a space is added before (or after) the text.</summary>
    public bool AddDummyPrefix { get; }

    /// <summary>Whether spaces become U+2581.</summary>
    public bool EscapeWhiteSpaces { get; }

    /// <summary>Whether the added space goes after the text.</summary>
    public bool TreatWhitespaceAsSuffix { get; }

    /// <summary>Tokens that stay outside of the added space.</summary>
    public IReadOnlyDictionary<string, int>? SpecialTokens { get; }

    internal char Space => EscapeWhiteSpaces ? EscapedSpace : ' ';

    /// <inheritdoc/>
    public override string Normalize(string original) =>
        string.IsNullOrEmpty(original) ? "" : Normalize(original.AsSpan());

    /// <inheritdoc/>
    public override string Normalize(ReadOnlySpan<char> original)
    {
        var text = original;
        if (RemoveExtraWhiteSpaces)
        {
            text = text.Trim(' ');
            // As the package does it: a text of one character is lost here.
            if (text.Length == 1)
                return "";
        }

        var result = new StringBuilder(text.Length + 1);
        if (AddDummyPrefix && !TreatWhitespaceAsSuffix)
        {
            var special = LeadingSpecialTokens(text);
            result.Append(text[..special]);
            text = text[special..];
            if (SpecialTokens is null || !text.IsEmpty)
                result.Append(Space);
        }
        AppendSpaced(result, text);
        if (AddDummyPrefix && TreatWhitespaceAsSuffix)
            AppendSuffix(result);
        return result.ToString();
    }

    private void AppendSpaced(StringBuilder result, ReadOnlySpan<char> text)
    {
        for (var i = 0; i < text.Length; i++)
            if (text[i] != ' ')
                result.Append(text[i]);
            else if (!RemoveExtraWhiteSpaces || i == 0 || text[i - 1] != ' ')
                result.Append(Space);
    }

    private int LeadingSpecialTokens(ReadOnlySpan<char> text)
    {
        var end = 0;
        while (FirstSpecialToken(text[end..], MemoryExtensions.StartsWith) is { Length: > 0 } token)
            end += token.Length;
        return end;
    }

    private void AppendSuffix(StringBuilder result)
    {
        if (SpecialTokens is null)
        {
            result.Append(Space);
            return;
        }
        var text = result.ToString().AsSpan();
        var end = text.Length;
        while (end > 1 && FirstSpecialToken(text[..end], MemoryExtensions.EndsWith) is { Length: > 0 } token)
            end -= token.Length;
        // As the package does it: no space after a text of one character.
        if (end > 1)
            result.Insert(end, Space);
    }

    private string? FirstSpecialToken(ReadOnlySpan<char> text, SpanMatch matches)
    {
        foreach (var token in SpecialTokens?.Keys ?? [])
            if (token.Length > 0 && matches(text, token, StringComparison.Ordinal))
                return token;
        return null;
    }

    private delegate bool SpanMatch(ReadOnlySpan<char> text, ReadOnlySpan<char> token, StringComparison comparison);
}
