namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>What becomes of the matches of a pattern that text is split by.</summary>
internal enum SplitDelimiterBehavior
{
    /// <summary>Each is a part.</summary>
    Isolated,

    /// <summary>They are left out.</summary>
    Removed,

    /// <summary>Each belongs to the part before it.</summary>
    MergedWithPrevious,

    /// <summary>Each belongs to the part after it.</summary>
    MergedWithNext,

    /// <summary>Neighbours together are a part.</summary>
    Contiguous,
}

/// <summary>Splitting by a pattern, as NormalizedString::split of Hugging Face's tokenizers does it.</summary>
internal static class SplitDelimiter
{
    /// <summary>The parts of a text; some may be empty.</summary>
    /// <param name="matches">Where the matches begin and end, from left to right.</param>
    /// <param name="length">Length of the text.</param>
    /// <param name="behavior">What becomes of them.</param>
    /// <param name="invert">Whether what lies between the matches is what the text is split by.</param>
    public static IEnumerable<(int Start, int End)> Parts(List<(int Start, int End)> matches, int length, SplitDelimiterBehavior behavior, bool invert)
    {
        var all = Stretches(matches, length, invert);
        return behavior switch
        {
            SplitDelimiterBehavior.Isolated => all.Select(stretch => (stretch.Start, stretch.End)),
            SplitDelimiterBehavior.Removed => all.Where(stretch => !stretch.IsMatch).Select(stretch => (stretch.Start, stretch.End)),
            SplitDelimiterBehavior.Contiguous => Join(all, (isMatch, before) => isMatch == before),
            SplitDelimiterBehavior.MergedWithPrevious => Join(all, (isMatch, before) => isMatch && !before),
            _ => Join(all.Reverse(), (isMatch, after) => isMatch && !after).AsEnumerable().Reverse(),
        };
    }

    /// <summary>The matches and what lies between them.</summary>
    private static IEnumerable<(int Start, int End, bool IsMatch)> Stretches(List<(int Start, int End)> matches, int length, bool invert)
    {
        var end = 0;
        foreach (var match in matches)
        {
            if (match.Start > end)
            {
                yield return (end, match.Start, invert);
            }

            yield return (match.Start, match.End, !invert);
            end = match.End;
        }

        if (length > end)
        {
            yield return (end, length, invert);
        }
    }

    /// <summary>Joins a stretch to its neighbour where both flags, its own and the neighbour's, ask for it.</summary>
    private static List<(int Start, int End)> Join(IEnumerable<(int Start, int End, bool IsMatch)> stretches, Func<bool, bool, bool> joins)
    {
        var parts = new List<(int Start, int End)>();
        var before = false;
        foreach (var (start, end, isMatch) in stretches)
        {
            if (joins(isMatch, before) && parts.Count > 0)
            {
                parts[^1] = (Math.Min(parts[^1].Start, start), Math.Max(parts[^1].End, end));
            }
            else
            {
                parts.Add((start, end));
            }

            before = isMatch;
        }

        return parts;
    }
}
