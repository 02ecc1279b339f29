namespace CutoffLen.Evaluation.Statistics;

/// <summary>The effective context of a model.</summary>
/// <param name="Tokens">
/// The largest number of context tokens up to which the NLL stays within delta of its running minimum. Null when no limit
/// was found in the measured lengths.
/// </param>
/// <param name="Swept">The longest measured length in tokens.</param>
/// <param name="Interval">
/// 95% interval over the units; positive infinity stands for "no limit found". Null where a single unit gives none.
/// </param>
/// <param name="Delta">The rise that counts, nats.</param>
public sealed record EffectiveContextLimit(int? Tokens, int Swept, Interval? Interval, double Delta)
{
    /// <summary>The limit in each bootstrap draw, infinite for "no limit found"; paired over results of the same documents.</summary>
    public IReadOnlyList<double> Draws { get; init; } = [];

    /// <summary>The limit as reports print it: <c>1722</c>, or <c>&gt;= 4096</c> when the measured lengths ended first.</summary>
    public override string ToString() => Tokens is { } tokens ? $"{tokens}" : $">= {Swept}";

    /// <summary>The interval as reports print it, empty where there is none.</summary>
    public string IntervalText => Interval is { } i ? $"{End(i.Low)} to {End(i.High)}" : "";

    private string End(double value) => double.IsInfinity(value) ? $">= {Swept}" : $"{value:0}";
}

/// <summary>
/// Effective context: the end of the last position bucket before the NLL rises more than delta above its running minimum
/// and stays there to the longest measured position.
/// </summary>
/// <remarks>
/// Three rules against noise. (1) Positions below three quarters of the native length are ignored: openings of documents
/// are easier or harder for reasons other than context. The bound is an eighth of the measured length where that is less,
/// and 64 tokens where the native length is not known. (2) Neighbouring buckets are joined until they hold 256 tokens.
/// (3) The running minimum is over means of an octave of positions: the minimum of many narrow buckets is biased low.
/// </remarks>
public static class EffectiveContext
{
    /// <summary>The rise that counts as the limit, nats.</summary>
    public const double StandardDelta = 0.1;

    private const int LeastNative = 64;
    private const double FirstShare = 0.75;
    private const int LeastTokens = 256;

    /// <summary>The limit and its interval.</summary>
    /// <param name="edges">Bucket boundaries, positions in tokens.</param>
    /// <param name="sums">For each unit, for each bucket the sum of the NLL, nats.</param>
    /// <param name="counts">For each unit, for each bucket its tokens.</param>
    /// <param name="bootstrap">Draws of the units.</param>
    /// <param name="delta">The rise that counts, nats.</param>
    /// <param name="native">Tokens the model was trained at; null where that is not known.</param>
    public static EffectiveContextLimit Of(
        int[] edges, IReadOnlyList<double[]> sums, IReadOnlyList<double[]> counts, Bootstrap bootstrap, double delta = StandardDelta, int? native = null)
    {
        var first = Math.Max(LeastNative, (int)(FirstShare * (native ?? 0)));
        var groups = Join(edges, counts, Math.Min(first, edges[^1] / 8));
        var tokens = Limit(edges, groups, Total(groups, sums, counts, Enumerable.Repeat(1, sums.Count).ToArray()), delta);
        var draws = bootstrap.Values(draw => Limit(edges, groups, Total(groups, sums, counts, draw), delta) ?? double.PositiveInfinity);
        return new EffectiveContextLimit(tokens, edges[^1], Bootstrap.Middle(draws), delta) { Draws = draws };
    }

    /// <summary>The end of the last bucket within the limit, or null when the last bucket of all is.</summary>
    /// <param name="edges">Bucket boundaries, positions in tokens.</param>
    /// <param name="groups">Buckets that are joined.</param>
    /// <param name="totals">The NLL and tokens of each group.</param>
    /// <param name="delta">The rise that counts, nats.</param>
    internal static int? Limit(int[] edges, IReadOnlyList<(int Begin, int End)> groups, Ratio[] totals, double delta)
    {
        var least = double.PositiveInfinity;
        int? limit = null;
        var from = 0;
        for (var k = 0; k < totals.Length; k++)
        {
            if (totals[k].Weight == 0)
            {
                continue;
            }

            while (from < k && 2 * edges[groups[from].Begin] < edges[groups[k].End])
            {
                from++;
            }

            least = Math.Min(least, Ratio.Of(totals[from..(k + 1)]));
            var rises = (totals[k].Sum / totals[k].Weight) - least > delta;
            limit = rises ? limit ?? edges[groups[k].Begin] : null;
        }

        return limit;
    }

    private static List<(int Begin, int End)> Join(int[] edges, IReadOnlyList<double[]> counts, int from)
    {
        var groups = new List<(int Begin, int End)>();
        var begin = Array.FindIndex(edges, edge => edge >= from);
        var held = 0.0;
        for (var bucket = begin; bucket < edges.Length - 1; bucket++)
        {
            held += counts.Sum(unit => unit[bucket]);
            if (held >= LeastTokens)
            {
                groups.Add((begin, bucket + 1));
                (begin, held) = (bucket + 1, 0);
            }
        }

        // Too few tokens at the end join the group before them; too few in all are one group.
        if (begin < edges.Length - 1)
        {
            var last = groups.Count == 0 ? (Begin: begin, 0) : groups[^1];
            if (groups.Count > 0)
            {
                groups.RemoveAt(groups.Count - 1);
            }

            groups.Add((last.Begin, edges.Length - 1));
        }

        return groups;
    }

    private static Ratio[] Total(
        List<(int Begin, int End)> groups, IReadOnlyList<double[]> sums, IReadOnlyList<double[]> counts, int[] draw)
    {
        var totals = new Ratio[groups.Count];
        for (var k = 0; k < totals.Length; k++)
        {
            double sum = 0, count = 0;
            for (var unit = 0; unit < draw.Length; unit++)
            {
                for (var bucket = groups[k].Begin; draw[unit] > 0 && bucket < groups[k].End; bucket++)
                {
                    sum += draw[unit] * sums[unit][bucket];
                    count += draw[unit] * counts[unit][bucket];
                }
            }

            totals[k] = new Ratio(sum, count);
        }

        return totals;
    }
}
