using System.Buffers;
using System.Text;
using CutoffLen.Tokenization.Expressions;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>A token that is found in the text as it stands, before byte pair encoding.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="Special">Whether decoding may leave it out (BOS, EOS, roles).</param>
/// <param name="StripLeft">Takes the white space before it.</param>
/// <param name="StripRight">Takes the white space after it.</param>
/// <param name="SingleWord">Only where no letter, digit or underscore is next to it.</param>
/// <param name="Normalized">Found in the normalized text, not in the original.</param>
/// <param name="File">The file that has it.</param>
internal sealed record AddedToken(
    int Id,
    string Content,
    bool Special,
    bool StripLeft = false,
    bool StripRight = false,
    bool SingleWord = false,
    bool Normalized = false,
    string File = "")
{
    /// <summary>What is looked for; in normalized text it may differ from the content.</summary>
    public string Pattern { get; init; } = Content;

    /// <summary>
    /// Gives tokens the ids that Hugging Face's tokenizers give them: that of the vocabulary, or else the next free one,
    /// whatever the files say.
    /// </summary>
    /// <param name="model">The vocabulary.</param>
    /// <param name="batches">Tokens in the order they are added. Of tokens with one content the last one counts.</param>
    public static IReadOnlyList<AddedToken> Assign(BpeModel model, params IEnumerable<AddedToken>[] batches)
    {
        var byId = new Dictionary<int, AddedToken>();
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var batch in batches)
        {
            var next = Math.Max(model.Count, byId.Keys.DefaultIfEmpty(-1).Max() + 1);
            foreach (var token in batch)
            {
                if (!ids.TryGetValue(token.Content, out var id))
                {
                    ids.Add(token.Content, id = model.Find(token.Content) ?? next++);
                }

                byId[id] = token with { Id = id };
            }
        }

        return [.. byId.Values];
    }
}

/// <summary>Cuts text at added tokens. The leftmost match wins, and the longest of those that begin there.</summary>
internal sealed class AddedTokens
{
    private readonly Dictionary<string, AddedToken>.AlternateLookup<ReadOnlySpan<char>> byPattern;
    private readonly SearchValues<string> patterns;
    private readonly int[] lengths;

    /// <summary>Tokens to look for. Of those with one pattern the first special one is found, or else the first.</summary>
    public AddedTokens(IEnumerable<AddedToken> tokens)
    {
        byPattern = tokens.OrderBy(token => !token.Special).DistinctBy(token => token.Pattern)
            .ToDictionary(token => token.Pattern, StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        patterns = SearchValues.Create([.. byPattern.Dictionary.Keys], StringComparison.Ordinal);
        lengths = [.. byPattern.Dictionary.Keys.Select(pattern => pattern.Length).Distinct().OrderDescending()];
    }

    /// <summary>The parts of a text in order: either an added token, or a range of plain text that is not empty.</summary>
    public IEnumerable<(AddedToken? Token, Range Plain)> Split(string text)
    {
        var start = 0;
        for (var from = 0; Next(text, from) is var (token, left, right); from = right)
        {
            if (token.SingleWord && !StandsAlone(text, left, right))
            {
                continue;
            }

            var begin = token.StripLeft ? Math.Max(start, text.AsSpan(0, left).TrimEnd().Length) : left;
            var end = token.StripRight ? text.Length - text.AsSpan(right).TrimStart().Length : right;
            if (begin > start)
            {
                yield return (null, start..begin);
            }

            // The search goes on right behind a token, also in white space that it took. Nothing may be left of a token there.
            if (end > begin)
            {
                yield return (token, default);
            }

            start = end;
        }

        if (start < text.Length)
        {
            yield return (null, start..text.Length);
        }
    }

    private (AddedToken Token, int Left, int Right)? Next(string text, int from)
    {
        var found = lengths.Length > 0 ? text.AsSpan(from).IndexOfAny(patterns) : -1;
        if (found < 0)
        {
            return null;
        }

        var rest = text.AsSpan(from + found);
        foreach (var length in lengths)
        {
            if (length <= rest.Length && byPattern.TryGetValue(rest[..length], out var token))
            {
                return (token, from + found, from + found + length);
            }
        }

        throw new InvalidOperationException("the search found no token");
    }

    private static bool StandsAlone(string text, int left, int right) =>
        !(Rune.DecodeLastFromUtf16(text.AsSpan(0, left), out var before, out _) == OperationStatus.Done && IsWord(before))
        && !(Rune.DecodeFromUtf16(text.AsSpan(right), out var after, out _) == OperationStatus.Done && IsWord(after));

    // Rust's \w, with the joiners.
    private static bool IsWord(Rune rune) => UnicodeProperties.Word.Contains(rune.Value) || rune.Value is 0x200C or 0x200D;
}
