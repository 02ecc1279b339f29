using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Evaluation;

/// <summary>
/// Averages, intervals and differences of scores. The bootstrap draws documents. Where only one document reaches a length
/// it draws that document's windows, and the result says so. Of more than 2000 units, runs of neighbours are drawn.
/// </summary>
public static class PerplexityStatistics
{
    private const int MostUnits = 2000;

    /// <summary>Perplexity at every length under one of the plan's protocols.</summary>
    public static ProtocolResult Perplexity(PerplexityScores scores, int protocol)
    {
        var rule = scores.Plan.Protocols[protocol];
        var byLength = scores.Windows.Where(w => w.Score.Protocol == rule.Name).ToLookup(w => w.Score.Length);
        var unit = scores.Plan.Lengths.Any(length => byLength[length].Any() && !DrawsDocuments(byLength[length])) ? "windows" : "texts";
        return new ProtocolResult(rule.Name, unit, [.. scores.Plan.Lengths.Select(length => At(length))]);

        LengthResult At(int length)
        {
            var windows = byLength[length].ToList();
            var documents = windows.Select(w => w.Document).Distinct().ToList();
            if (documents.Count == 0)
            {
                return new LengthResult(length, null, null, 0, scores.Documents.Count, 0, 0, null);
            }

            var units = Units(windows, rule.Averaging);
            return new LengthResult(
                length, Ratio.Of(units), new Bootstrap(units.Count).OfRatio(units), documents.Count, scores.Documents.Count - documents.Count,
                windows.Sum(w => (long)w.Score.Count), windows.Count, Gain(byLength, windows, length))
            {
                PerWordAndByte = rule is not LmEvalDisjoint ? null : PerWordAndByte.Of(
                    windows.Sum(w => w.Score.Sum), documents.Sum(d => scores.Documents[d].Words), documents.Sum(d => scores.Documents[d].Bytes)),
            };
        }
    }

    /// <summary>NLL by position and the effective context; null when no document has a whole window.</summary>
    /// <param name="scores">The scores.</param>
    /// <param name="delta">The rise that ends the context, nats.</param>
    /// <param name="native">Tokens the model was trained at; null where that is not known.</param>
    public static PositionCurve? Curve(PerplexityScores scores, double delta = EffectiveContext.StandardDelta, int? native = null)
    {
        if (scores.Curves.Count == 0)
        {
            return null;
        }

        var length = scores.Curves[0].Score.Length;
        var buckets = new PositionBuckets(length);
        var documents = scores.Curves.GroupBy(c => c.Document, c => c.Score).ToList();
        // Overlapping windows of one document repeat its tokens, so its units are stretches of a window's length.
        var units = documents.Count > 1 ? documents.Select(g => g.ToList()) : scores.Curves.GroupBy(c => c.Score.Start / length, c => c.Score).Select(g => g.ToList());
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
            length, scores.Curves.Count, documents.Count > 1 ? "texts" : "stretches", [.. points],
            EffectiveContext.Of(buckets.Edges, sums, counts, bootstrap, delta, native));
    }

    /// <summary>
    /// The differences from a baseline, paired by document, one for each length that both reach. Both have the same
    /// documents and protocols.
    /// </summary>
    public static IReadOnlyList<PairedDifference> Differences(PerplexityScores scores, PerplexityScores baseline, int protocol)
    {
        var rule = scores.Plan.Protocols[protocol];
        var differences = new List<PairedDifference>();
        foreach (var length in scores.Plan.Lengths)
        {
            var units = UnitsAt(scores);
            var others = UnitsAt(baseline);
            if (units.Count > 0 && units.Count == others.Count)
            {
                differences.Add(new PairedDifference(
                    length, Ratio.Of(units) - Ratio.Of(others), new Bootstrap(units.Count).OfDifference(units, others)));
            }

            List<Ratio> UnitsAt(PerplexityScores of) =>
                Units([.. of.Windows.Where(w => w.Score.Protocol == rule.Name && w.Score.Length == length)], rule.Averaging);
        }

        return differences;
    }

    /// <summary>
    /// The change of the mean NLL from a length to another, paired by document over those that reach both; null where fewer than two do.
    /// </summary>
    public static PairedDifference? Change(PerplexityScores scores, int from, int to, int protocol)
    {
        var rule = scores.Plan.Protocols[protocol];
        var (shorter, longer) = (At(from), At(to));
        if (longer.Count(group => shorter.Contains(group.Key)) < 2)
        {
            return null;
        }

        var (before, after) = (Shared(shorter, longer), Shared(longer, shorter));
        return new PairedDifference(to, Ratio.Of(after) - Ratio.Of(before), new Bootstrap(after.Count).OfDifference(after, before));

        ILookup<int, (int Document, WindowScore Score)> At(int length) =>
            scores.Windows.Where(w => w.Score.Protocol == rule.Name && w.Score.Length == length).ToLookup(w => w.Document);
        List<Ratio> Shared(ILookup<int, (int Document, WindowScore Score)> of, ILookup<int, (int Document, WindowScore Score)> other) =>
            Units([.. of.Where(group => other.Contains(group.Key)).SelectMany(group => group)], rule.Averaging);
    }

    private static bool DrawsDocuments(IEnumerable<(int Document, WindowScore Score)> windows) => windows.Select(w => w.Document).Distinct().Skip(1).Any();

    private static List<Ratio> Units(IReadOnlyList<(int Document, WindowScore Score)> windows, Averaging averaging)
    {
        List<Ratio> units = DrawsDocuments(windows)
            ? [.. windows.GroupBy(w => w.Document, w => w.Score).OrderBy(g => g.Key).Select(g => Weigh(g, averaging))]
            : [.. windows.Select(w => Weigh([w.Score], averaging))];
        return [.. Runs(units).Select(run => new Ratio(run.Sum(unit => unit.Sum), run.Sum(unit => unit.Weight)))];
    }

    /// <summary>Neighbours taken together, so that there are not more than <see cref="MostUnits"/> units.</summary>
    private static IEnumerable<T[]> Runs<T>(List<T> units) => units.Chunk(Math.Max(1, (units.Count + MostUnits - 1) / MostUnits));

    private static Ratio Weigh(IEnumerable<WindowScore> windows, Averaging averaging)
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
    /// The gain over the shortest length whose windows have most of this length's targets in the same spans. Short lengths
    /// whose windows are cut by the stride have other spans.
    /// </summary>
    private static ContextGain? Gain(
        ILookup<int, (int Document, WindowScore Score)> byLength, IReadOnlyList<(int Document, WindowScore Score)> windows, int length)
    {
        var tokens = windows.Sum(w => (long)w.Score.Count);
        foreach (var from in byLength.Select(group => group.Key).Where(key => key < length).Order())
        {
            var known = byLength[from].ToDictionary(Span, w => w.Score.Sum);
            var gains = windows
                .Where(w => known.ContainsKey(Span(w)))
                .Select(w => (w.Document, Score: w.Score with { Sum = known[Span(w)] - w.Score.Sum }))
                .ToList();
            var shared = gains.Sum(w => (long)w.Score.Count);
            if (2 * shared >= tokens)
            {
                var units = Units(gains, Averaging.Tokens);
                return new ContextGain(from, Ratio.Of(units), new Bootstrap(units.Count).OfRatio(units), shared);
            }
        }

        return null;

        static (int Document, int FirstTarget, int Count) Span((int Document, WindowScore Score) window) =>
            (window.Document, window.Score.FirstTarget, window.Score.Count);
    }
}
