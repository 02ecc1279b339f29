namespace CutoffLen.Positions;

/// <summary>"Did you mean": the known word nearest to an unknown one.</summary>
internal static class Spelling
{
    /// <summary><c>" (did you mean X?)"</c>, or nothing when no word is near.</summary>
    public static string Suggest(string unknown, IEnumerable<string> known)
    {
        var best = known.Select(word => (Word: word, Distance: Distance(unknown, word))).DefaultIfEmpty(("", int.MaxValue)).MinBy(pair => pair.Item2);
        return best.Item2 <= Math.Max(1, Math.Min(3, unknown.Length / 3)) ? $" (did you mean {best.Item1}?)" : "";
    }

    /// <summary>Levenshtein's distance: insertions, deletions and replacements of letters.</summary>
    private static int Distance(string from, string to)
    {
        if (Math.Abs(from.Length - to.Length) > 3)
        {
            return int.MaxValue;
        }

        var row = Enumerable.Range(0, to.Length + 1).ToArray();
        for (var i = 1; i <= from.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= to.Length; j++)
            {
                var replaced = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
                diagonal = row[j];
                row[j] = Math.Min(replaced, Math.Min(row[j], row[j - 1]) + 1);
            }
        }

        return row[^1];
    }
}
