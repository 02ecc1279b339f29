namespace CutoffLen.Common;

/// <summary>"Did you mean": the known word nearest to an unknown one.</summary>
public static class Spelling
{
    private const int Farthest = 3;

    /// <summary><c>" (did you mean X?)"</c>, or nothing when no word is near.</summary>
    /// <param name="unknown">What was given.</param>
    /// <param name="known">What is allowed.</param>
    public static string Suggest(string unknown, IEnumerable<string> known)
    {
        // A word of another length is farther away, and one from a damaged file may have a million letters.
        var alike = known.Where(word => Math.Abs(word.Length - unknown.Length) <= Farthest);
        var best = alike.Select(word => (Word: word, Distance: Distance(unknown, word))).DefaultIfEmpty(("", int.MaxValue)).MinBy(pair => pair.Item2);
        return best.Item2 <= Math.Max(1, Math.Min(Farthest, unknown.Length / 3)) ? $" (did you mean {best.Item1}?)" : "";
    }

    /// <summary>
    /// The optimal string alignment distance: the fewest insertions, deletions, replacements and exchanges of neighbours that
    /// turn one word into the other and touch no letter twice.
    /// </summary>
    private static int Distance(string from, string to)
    {
        var steps = new int[from.Length + 1, to.Length + 1];
        for (var i = 0; i <= from.Length; i++)
        {
            for (var j = 0; j <= to.Length; j++)
            {
                steps[i, j] = i == 0 || j == 0
                    ? i + j
                    : Math.Min(
                        Math.Min(steps[i - 1, j], steps[i, j - 1]) + 1,
                        steps[i - 1, j - 1] + (from[i - 1] == to[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1])
                {
                    steps[i, j] = Math.Min(steps[i, j], steps[i - 2, j - 2] + 1);
                }
            }
        }

        return steps[from.Length, to.Length];
    }
}
