using System.Text.RegularExpressions;

namespace Microsoft.ML.Tokenizers;

/// <summary>The words are the matches of a regular expression; special tokens are words of their own.</summary>
public sealed class RegexPreTokenizer : PreTokenizer
{
    private readonly Regex regex;
    private readonly Regex? specialTokens;

    /// <summary>A pre-tokenizer with this expression.</summary>
    /// <param name="regex">The expression. Each match is searched from the end of the one before, as if the text began there.</param>
    /// <param name="specialTokens">Strings to cut out first; where several match at one place, the first in the dictionary's order wins.</param>
    /// <exception cref="ArgumentNullException"><paramref name="regex"/> is null.</exception>
    public RegexPreTokenizer(Regex regex, IReadOnlyDictionary<string, int>? specialTokens)
    {
        ArgumentNullException.ThrowIfNull(regex);
        this.regex = regex;
        this.specialTokens = SpecialTokens.Expression(specialTokens);
    }

    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => PreTokenize(text.ToString());

    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text)
    {
        if (string.IsNullOrEmpty(text))
            yield break;
        var start = 0;
        while (specialTokens is not null && SpecialTokens.Next(specialTokens, text, start, text.Length) is { Length: > 0 } special)
        {
            while (SpecialTokens.Next(regex, text, start, special.Offset) is { Length: > 0 } word)
            {
                yield return word;
                start = word.Offset + word.Length;
            }
            yield return special;
            start = special.Offset + special.Length;
        }
        while (SpecialTokens.Next(regex, text, start, text.Length) is { Length: > 0 } word)
        {
            yield return word;
            start = word.Offset + word.Length;
        }
    }
}

/// <summary>Finds special tokens in a text.</summary>
internal static class SpecialTokens
{
    /// <summary>An expression that matches any of the tokens; null for none.</summary>
    public static Regex? Expression(IReadOnlyDictionary<string, int>? tokens) =>
        tokens is { Count: > 0 } ? new Regex(string.Join('|', tokens.Keys.Select(Regex.Escape)), RegexOptions.Compiled) : null;

    /// <summary>The first match that isn't empty between two places; length 0 where there is none.</summary>
    public static (int Offset, int Length) Next(Regex regex, ReadOnlySpan<char> text, int start, int end)
    {
        foreach (var match in regex.EnumerateMatches(text[start..end]))
            if (match.Length > 0)
                return (start + match.Index, match.Length);
        return (end, 0);
    }
}
