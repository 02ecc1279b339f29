using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace CutoffLen.Evaluation.Measures;

/// <summary>What a summary shares with a reference.</summary>
/// <param name="Precision">Share of the summary that the reference has, 0 to 1.</param>
/// <param name="Recall">Share of the reference that the summary has, 0 to 1.</param>
public readonly record struct RougeScore(double Precision, double Recall)
{
    /// <summary>The harmonic mean of both.</summary>
    public double F1 => Precision + Recall > 0 ? 2 * Precision * Recall / (Precision + Recall) : 0;

    internal static RougeScore Of(int hits, int summary, int reference) => new((double)hits / Math.Max(summary, 1), (double)hits / Math.Max(reference, 1));
}

/// <summary>
/// ROUGE (Lin 2004, ACL W04-1013) with the algorithm of rouge-score (google-research/google-research, rouge/), the package that
/// Hugging Face's evaluate and SCROLLS use: lower case, runs of a-z and 0-9 are words, and words of more than three letters are
/// stemmed (<see cref="PorterStemmer"/>) where asked.
/// </summary>
/// <param name="Rouge1">Words in common.</param>
/// <param name="Rouge2">Pairs of neighbouring words in common.</param>
/// <param name="RougeL">The longest common subsequence of the whole texts.</param>
/// <param name="RougeLsum">
/// Sentence by sentence, a line each: the union of a reference sentence's longest common subsequences with all sentences of the
/// summary. No word counts more often than either text has it.
/// </param>
public sealed partial record Rouge(RougeScore Rouge1, RougeScore Rouge2, RougeScore RougeL, RougeScore RougeLsum)
{
    /// <summary>The names of the four, as the package has them.</summary>
    public static IReadOnlyList<string> Names { get; } = ["rouge1", "rouge2", "rougeL", "rougeLsum"];

    /// <summary>The F1 of each, in the order of <see cref="Names"/>.</summary>
    public IReadOnlyList<double> F1 => [Rouge1.F1, Rouge2.F1, RougeL.F1, RougeLsum.F1];

    /// <summary>Scores a summary.</summary>
    /// <param name="reference">The reference summary.</param>
    /// <param name="summary">The summary to score.</param>
    /// <param name="useStemmer">Whether words are stemmed.</param>
    public static Rouge Of(string reference, string summary, bool useStemmer = true)
    {
        var (target, prediction) = (Words(reference, useStemmer), Words(summary, useStemmer));
        return new Rouge(
            NGrams(target, prediction, 1),
            NGrams(target, prediction, 2),
            RougeScore.Of(Common(target, prediction)[target.Length, prediction.Length], prediction.Length, target.Length),
            Sentences(
                [.. reference.Split('\n').Select(line => Words(line, useStemmer))],
                [.. summary.Split('\n').Select(line => Words(line, useStemmer))]));
    }

    private static string[] Words(string text, bool useStemmer) =>
    [
        // Python's lower() makes two characters of this one.
        .. Word().Matches(text.Replace("\u0130", "i\u0307", StringComparison.Ordinal).ToLowerInvariant())
            .Select(word => useStemmer && word.Length > 3 ? PorterStemmer.Stem(word.Value) : word.Value),
    ];

    private static RougeScore NGrams(string[] target, string[] prediction, int n)
    {
        var (wanted, given) = (Counts(target, n), Counts(prediction, n));
        return RougeScore.Of(wanted.Sum(gram => Math.Min(gram.Value, given.GetValueOrDefault(gram.Key))), given.Values.Sum(), wanted.Values.Sum());
    }

    private static Dictionary<string, int> Counts(string[] words, int n)
    {
        var counts = new Dictionary<string, int>();
        for (var at = 0; at + n <= words.Length; at++)
        {
            CollectionsMarshal.GetValueRefOrAddDefault(counts, string.Join(' ', words, at, n), out _)++;
        }

        return counts;
    }

    /// <summary>The lengths of the longest common subsequences of every two beginnings, [target + 1, prediction + 1].</summary>
    private static int[,] Common(string[] target, string[] prediction)
    {
        var lengths = new int[target.Length + 1, prediction.Length + 1];
        for (var i = 1; i <= target.Length; i++)
        {
            for (var j = 1; j <= prediction.Length; j++)
            {
                lengths[i, j] = target[i - 1] == prediction[j - 1] ? lengths[i - 1, j - 1] + 1 : Math.Max(lengths[i - 1, j], lengths[i, j - 1]);
            }
        }

        return lengths;
    }

    private static RougeScore Sentences(string[][] target, string[][] prediction)
    {
        var (wanted, given) = (Counts([.. target.SelectMany(words => words)], 1), Counts([.. prediction.SelectMany(words => words)], 1));
        var (total, summary) = (wanted.Values.Sum(), given.Values.Sum());
        var hits = 0;
        foreach (var sentence in target)
        {
            var union = new SortedSet<int>(prediction.SelectMany(other => Subsequence(sentence, other)));
            foreach (var word in union.Select(at => sentence[at]))
            {
                // ROUGE-1.5.5 takes a hit from both texts, so that none counts twice.
                if (wanted[word] > 0 && given[word] > 0)
                {
                    hits++;
                    wanted[word]--;
                    given[word]--;
                }
            }
        }

        return RougeScore.Of(hits, summary, total);
    }

    /// <summary>The indices in the target of one longest common subsequence; of several, the one that the package finds.</summary>
    private static List<int> Subsequence(string[] target, string[] prediction)
    {
        var (lengths, found) = (Common(target, prediction), new List<int>());
        for (int i = target.Length, j = prediction.Length; i > 0 && j > 0;)
        {
            if (target[i - 1] == prediction[j - 1])
            {
                found.Add(i - 1);
                (i, j) = (i - 1, j - 1);
            }
            else if (lengths[i, j - 1] > lengths[i - 1, j])
            {
                j--;
            }
            else
            {
                i--;
            }
        }

        return found;
    }

    [GeneratedRegex("[a-z0-9]+")]
    private static partial Regex Word();
}
