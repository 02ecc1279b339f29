using System.Buffers;

namespace CutoffLen.Tokenization;

/// <summary>A token that is found in the text as it stands, before byte pair encoding.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">What is looked for.</param>
/// <param name="Special">Whether decoding may leave it out (BOS, EOS, roles).</param>
/// <param name="StripLeft">Takes the white space before it.</param>
/// <param name="StripRight">Takes the white space after it.</param>
/// <param name="SingleWord">Only where no letter, digit or underscore is next to it.</param>
/// <param name="Normalized">Found in the normalized text, not in the original.</param>
internal sealed record AddedToken(
    int Id, string Content, bool Special, bool StripLeft = false, bool StripRight = false, bool SingleWord = false, bool Normalized = false)
{
    /// <summary>Its decoded text: the content before normalization.</summary>
    public string Text { get; init; } = Content;
}

/// <summary>Cuts text at added tokens. The leftmost match wins, and the longest of those that begin there.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<string, AddedToken>.AlternateLookup<ReadOnlySpan<char>> byContent;
    private readonly SearchValues<string> contents;
    private readonly int[] lengths;

    /// <summary>Tokens with different contents, none of them empty.</summary>
    public AddedTokens(IReadOnlyCollection<AddedToken> tokens)
    {
        byContent = tokens.ToDictionary(token => token.Content, StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        contents = SearchValues.Create([.. byContent.Dictionary.Keys], StringComparison.Ordinal);
        lengths = [.. tokens.Select(token => token.Content.Length).Distinct().OrderDescending()];
    }

    /// <summary>The parts of a text in order: either an added token, or a range of plain text that is not empty.</summary>
    public IEnumerable<(AddedToken? Token, Range Plain)> Split(string text)
    {
        var start = 0;
        if (lengths.Length > 0)
        {
            for (var from = 0; Next(text, from) is var (token, at);)
            {
                var (left, right) = Extent(text, token, at, start);
                if (token.SingleWord && !StandsAlone(text, at, at + token.Content.Length))
                {
                    from = at + token.Content.Length;
                    continue;
                }

                if (left > start)
                {
                    yield return (null, start..left);
                }

                yield return (token, default);
                start = from = right;
            }
        }

        if (start < text.Length)
        {
            yield return (null, start..text.Length);
        }
    }

    private (AddedToken Token, int At)? Next(string text, int from)
    {
        var found = text.AsSpan(from).IndexOfAny(contents);
        if (found < 0)
        {
            return null;
        }

        var rest = text.AsSpan(from + found);
        foreach (var length in lengths)
        {
            if (length <= rest.Length && byContent.TryGetValue(rest[..length], out var token))
            {
                return (token, from + found);
            }
        }

        throw new InvalidOperationException("the search found no token");
    }

    private static (int Left, int Right) Extent(string text, AddedToken token, int at, int start)
    {
        var (left, right) = (at, at + token.Content.Length);
        while (token.StripLeft && left > start && char.IsWhiteSpace(text[left - 1]))
        {
            left--;
        }

        while (token.StripRight && right < text.Length && char.IsWhiteSpace(text[right]))
        {
            right++;
        }

        return (left, right);
    }

    private static bool StandsAlone(string text, int begin, int end) =>
        !(begin > 0 && IsWord(text[begin - 1])) && !(end < text.Length && IsWord(text[end]));

    private static bool IsWord(char c) => char.IsLetterOrDigit(c) || c == '_';
}
