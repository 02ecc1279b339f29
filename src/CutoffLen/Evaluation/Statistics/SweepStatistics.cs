using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Sweeps;

namespace CutoffLen.Evaluation.Statistics;

/// <summary>
/// Averages, intervals and differences of a sweep's scores. The bootstrap draws texts; where only one text reaches a
/// length it draws that text's windows, and says so. More than 2000 units are drawn in runs of neighbours.
/// </summary>
public static class SweepStatistics
{
    private const int MostUnits = 2000;

    /// <summary>Perplexity at every length under one of the sweep's protocols.</summary>
    public static ProtocolResult Perplexity(SweepScores scores, int protocol)
    {
        var rule = scores.Plan.Protocols[protocol];
        var byLength = scores.Windows.Where(w => w.Demand.Protocol == protocol).ToLookup(w => w.Demand.Length);
        var unit = scores.Plan.Lengths.Any(length => byLength[length].Any() && !DrawsTexts(byLength[length])) ? "windows" : "texts";
        return new ProtocolResult(rule.Name, unit, [.. scores.Plan.Lengths.Select(length => At(length))]);

        LengthResult At(int length)
        {
            var windows = byLength[length].ToList();
            var texts = windows.Select(w => w.Text).Distinct().Count();
            if (texts == 0)
            {
                return new LengthResult(length, null, null, 0, scores.Texts.Count, 0, 0, null);
            }

            var units = Units(windows, rule.Averaging);
            return new LengthResult(
                length, Ratio.Of(units), new Bootstrap(units.Count).OfRatio(units), texts, scores.Texts.Count - texts,
                windows.Sum(w => (long)w.Count), windows.Count, Gain(byLength, windows, length))
            {
                PerWordAndByte = rule is LmEvalDisjoint ? Wordwise(scores, windows) : null,
            };
        }
    }

    /// <summary>NLL by position and the effective context; null when no text has a whole window.</summary>
    /// <param name="scores">What was measured.</param>
    /// <param name="delta">The rise that ends the context, nats.</param>
    /// <param name="native">Tokens the model was trained at; null where that is not known.</param>
    public static PositionCurve? Curve(SweepScores scores, double delta = EffectiveContext.StandardDelta, int? native = null)
    {
        if (scores.CurveLength is not { } length)
        {
            return null;
        }

        var buckets = new PositionBuckets(length);
        var texts = scores.Curves.GroupBy(c => c.Text).ToList();
        // Windows of one text that overlap say the same twice: its units are stretches of a window's length.
        var units = texts.Count > 1 ? texts.Select(g => g.ToList()) : scores.Curves.GroupBy(c => c.Start / length).Select(g => g.ToList());
        units = Runs([.. units]).Select(run => run.SelectMany(unit => unit).ToList());
        var sums = units.Select(unit => Enumerable.Range(0, buckets.Count).Select(b => unit.Sum(c => c.Sums[b])).ToArray()).ToList();
        var counts = units.Select(unit => Enumerable.Range(0, buckets.Count)
            .Select(b => (double)unit.Count * (buckets.Edges[b + 1] - buckets.Edges[b])).ToArray()).ToList();
        var bootstrap = new Bootstrap(sums.Count);
        var points = Enumerable.Range(0, buckets.Count).Select(b =>
        {
            var ratios = sums.Zip(counts, (s, c) => new Ratio(s[b], c[b])).ToList();
            return new CurvePoint(
                buckets.Edges[b], buckets.Edges[b + 1], Ratio.Of(ratios), bootstrap.OfRatio(ratios), (long)counts.Sum(c => c[b]));
        });
        return new PositionCurve(
            length, scores.Curves.Count, texts.Count > 1 ? "texts" : "stretches", [.. points],
            EffectiveContext.Of(buckets.Edges, sums, counts, bootstrap, delta, native));
    }

    /// <summary>
    /// The differences of a sweep from a baseline, one for each length that both measured, paired by text: both sweeps
    /// have the same texts and protocols.
    /// </summary>
    public static IReadOnlyList<PairedDifference> Differences(SweepScores scores, SweepScores baseline, int protocol)
    {
        var averaging = scores.Plan.Protocols[protocol].Averaging;
        var differences = new List<PairedDifference>();
        foreach (var length in scores.Plan.Lengths)
        {
            var units = Units(WindowsAt(scores), averaging);
            var others = Units(WindowsAt(baseline), averaging);
            if (units.Count > 0 && units.Count == others.Count)
            {
                differences.Add(new PairedDifference(
                    length, Ratio.Of(units) - Ratio.Of(others), new Bootstrap(units.Count).OfDifference(units, others)));
            }

            List<TextWindowScore> WindowsAt(SweepScores sweep) =>
                [.. sweep.Windows.Where(w => w.Demand.Protocol == protocol && w.Demand.Length == length)];
        }

        return differences;
    }

    private static bool DrawsTexts(IEnumerable<TextWindowScore> windows) => windows.Select(w => w.Text).Distinct().Skip(1).Any();

    private static List<Ratio> Units(IReadOnlyList<TextWindowScore> windows, Averaging averaging)
    {
        List<Ratio> units = DrawsTexts(windows)
            ? [.. windows.GroupBy(w => w.Text).OrderBy(g => g.Key).Select(g => Weigh(g, averaging))]
            : [.. windows.Select(w => Weigh([w], averaging))];
        return [.. Runs(units).Select(run => new Ratio(run.Sum(unit => unit.Sum), run.Sum(unit => unit.Weight)))];
    }

    /// <summary>Neighbours taken together, so that there are not more than <see cref="MostUnits"/>.</summary>
    private static IEnumerable<T[]> Runs<T>(List<T> units) => units.Chunk(Math.Max(1, (units.Count + MostUnits - 1) / MostUnits));

    private static Ratio Weigh(IEnumerable<TextWindowScore> windows, Averaging averaging)
    {
        double sum = 0, tokens = 0, means = 0, count = 0;
        foreach (var window in windows)
        {
            sum += window.Sum;
            tokens += window.Count;
            means += window.Sum / window.Count;
            count++;
        }

        return averaging switch
        {
            Averaging.Tokens => new Ratio(sum, tokens),
            Averaging.Windows => new Ratio(means, count),
            _ => new Ratio(sum / tokens, 1),
        };
    }

    /// <summary>
    /// The gain over the shortest length that scores most of this length's windows in the same stretches; short lengths
    /// whose windows are cut by the stride have other stretches.
    /// </summary>
    private static ContextGain? Gain(ILookup<int, TextWindowScore> byLength, IReadOnlyList<TextWindowScore> windows, int length)
    {
        var tokens = windows.Sum(w => (long)w.Count);
        foreach (var from in byLength.Select(group => group.Key).Where(key => key < length).Order())
        {
            var known = byLength[from].ToDictionary(w => (w.Text, w.Demand.FirstTarget, w.Demand.TargetEnd), w => w.Sum);
            var gains = windows
                .Where(w => known.ContainsKey((w.Text, w.Demand.FirstTarget, w.Demand.TargetEnd)))
                .Select(w => w with { Sum = known[(w.Text, w.Demand.FirstTarget, w.Demand.TargetEnd)] - w.Sum })
                .ToList();
            var shared = gains.Sum(w => (long)w.Count);
            if (2 * shared >= tokens)
            {
                var units = Units(gains, Averaging.Tokens);
                return new ContextGain(from, Ratio.Of(units), new Bootstrap(units.Count).OfRatio(units), shared);
            }
        }

        return null;
    }

    private static PerWordAndByte Wordwise(SweepScores scores, IReadOnlyList<TextWindowScore> windows)
    {
        var texts = windows.Select(w => w.Text).Distinct().Select(i => scores.Texts[i]).ToList();
        return PerWordAndByte.Of(windows.Sum(w => w.Sum), texts.Sum(t => t.Words), texts.Sum(t => t.Bytes));
    }
}
