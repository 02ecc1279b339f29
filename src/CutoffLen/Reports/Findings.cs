using CutoffLen.Common;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports;

/// <summary>The findings of a report in sentences; the first is the one to quote.</summary>
internal static class Findings
{
    /// <summary>The sentences; none for passkey retrieval alone.</summary>
    public static IEnumerable<string> Of(Report report) => report switch
    {
        { Sweep: { } sweep } => [.. report.Published?.Findings() ?? [], .. OfSweep(sweep)],
        { Perplexity: { } perplexity } => OfPerplexity(report, perplexity),
        { IsRuler: true } => report.Methods.Select(measured => OfRuler(report.LabelOf(measured), measured.Ruler!)),
        _ => [],
    };

    private static IEnumerable<string> OfPerplexity(Report report, PerplexitySection perplexity)
    {
        var protocol = perplexity.Protocols[0].Name;
        foreach (var measured in report.Methods.Where(m => m.Limit is not null).Take(1))
        {
            var limit = measured.Limit!;
            var interval = limit.Interval is null || limit.Tokens is null ? "" : $" (95% interval {Intervals.OfLimit(limit)})";
            yield return limit.Tokens is { } tokens
                ? $"With {report.LabelOf(measured)} the context ends at about {Numbers.Count(tokens)} tokens{interval}; the native length is {Numbers.Count(measured.NativeLength)}."
                : $"With {report.LabelOf(measured)} no limit was found below {Numbers.Count(limit.Swept)} tokens; the native length is {Numbers.Count(measured.NativeLength)}.";
        }

        var at = perplexity.Lengths.LastOrDefault(length => report.Methods.All(m => Perplexity(m, protocol, length) is not null));
        if (at > 0 && report.Methods.Count > 1)
        {
            var ordered = report.Methods.OrderBy(m => Perplexity(m, protocol, at)).ToList();
            yield return $"At {Numbers.Count(at)} tokens {report.LabelOf(ordered[0])} has the lowest perplexity, {Numbers.Perplexity(Perplexity(ordered[0], protocol, at)!.Value)}; "
                + $"{report.LabelOf(ordered[^1])} has the highest, {Numbers.Perplexity(Perplexity(ordered[^1], protocol, at)!.Value)}.";
        }

        var farthest = report.Methods.Skip(1).Where(m => m.Limit is not null).MaxBy(m => m.Limit!.Tokens ?? double.PositiveInfinity);
        var first = report.Methods[0].Limit?.Tokens;
        if (farthest is not null && first is { } before && (farthest.Limit!.Tokens ?? double.PositiveInfinity) > before)
        {
            yield return farthest.Limit.Tokens is { } tokens
                ? $"{report.LabelOf(farthest)} reaches farthest, {Numbers.Count(tokens)} tokens."
                : $"With {report.LabelOf(farthest)} no limit was found below {Numbers.Count(farthest.Limit.Swept)} tokens.";
        }
    }

    private static string OfRuler(string label, RulerResult ruler)
    {
        var average = $"the average of {ruler.Tasks.Count} {(ruler.Tasks.Count == 1 ? "task" : "tasks")}";
        var threshold = $"{Numbers.Short(ruler.Threshold)} %";
        return ruler.EffectiveLength is not { } length ? $"With {label} {average} is below {threshold} at {Numbers.Count(ruler.Lengths[0])} tokens already."
            : length == ruler.Lengths[^1] ? $"With {label} {average} reaches {threshold} up to {Numbers.Count(length)} tokens, the longest length measured."
            : $"With {label} the effective length is {Numbers.Count(length)} tokens: {average} reaches {threshold} up to there.";
    }

    private static IEnumerable<string> OfSweep(SweepSection sweep)
    {
        if (sweep.Itself.Limit is not { } own)
        {
            yield break;
        }

        yield return Headline(sweep, own);
        if (Farthest(sweep.Before.Skip(1)) is { } untrained)
        {
            yield return $"Without fine-tuning {untrained.Method} reaches farthest, {Reach(untrained.Limit!)} tokens{Price(untrained)}.";
        }

        if (Farthest(sweep.After) is { } tuned)
        {
            yield return $"After fine-tuning {tuned.Rope} at {Numbers.Count(tuned.Cutoff!.Value)} tokens reaches farthest, {Reach(tuned.Limit!)} tokens{Price(tuned)}.";
        }

        foreach (var (bound, isTuned, score) in sweep.Scores)
        {
            var rank = score.RankCorrelation is { } correlation ? $", rank correlation {Numbers.Exponent(correlation)}{Interval(score.RankInterval)}" : "";
            yield return $"The {bound} is off by a factor of {Numbers.Exponent(score.ErrorFactor)}{Interval(score.ErrorInterval)} on average "
                + $"over {score.Limits} contexts {(isTuned ? "after" : "before")} fine-tuning{rank}.";
        }
    }

    private static string Interval(Interval? interval) => interval is { } i ? $" (95% {Numbers.Exponent(i.Low)} to {Numbers.Exponent(i.High)})" : "";

    // Before, after, and the slope, in one sentence.
    private static string Headline(SweepSection sweep, EffectiveContextLimit own)
    {
        var before = $"The checkpoint as it is ({sweep.Itself.Method}, native {Numbers.Count(sweep.NativeLength)}) has an effective context of {Reach(own)} tokens";
        var after = sweep.Cutoffs.Select(cutoff => (cutoff, cells: sweep.After.Where(cell => cell.Cutoff == cutoff && cell.Limit is not null).ToList()))
            .Where(at => at.cells.Count > 0)
            .Select(at => $"at {Numbers.Count(at.cutoff)} of {Range([.. at.cells.Select(cell => cell.Limit!)])}").ToList();
        var slope = sweep.Slope is { } fit
            ? $"; it grows as cutoff^{Numbers.Exponent(fit.Exponent)}{Interval(fit.Interval)}, 1 being in proportion"
            : "";
        return after.Count == 0 ? $"{before}." : $"{before}, after fine-tuning {string.Join(" and ", after)} tokens{slope}.";
    }

    private static string Range(IReadOnlyList<EffectiveContextLimit> limits)
    {
        var ordered = limits.OrderBy(Tokens).ToList();
        var (low, high) = (Reach(ordered[0]), Reach(ordered[^1]));
        return low == high ? low : $"{low} to {high}";
    }

    private static SweepCell? Farthest(IEnumerable<SweepCell> cells) =>
        cells.Where(cell => cell.Limit is not null).OrderByDescending(cell => Tokens(cell.Limit!)).ThenBy(cell => cell.Price?.Nats ?? 0).FirstOrDefault();

    private static double Tokens(EffectiveContextLimit limit) => limit.Tokens ?? double.PositiveInfinity;

    private static string Reach(EffectiveContextLimit limit) => limit.Tokens is { } tokens ? Numbers.Count(tokens) : $"at least {Numbers.Count(limit.Swept)}";

    private static string Price(SweepCell cell) => cell.Price is { } price
        ? $", at a price of {Numbers.Signed(price.Nats)} nats per token at {Numbers.Count(price.Length)} tokens"
        : "";

    private static double? Perplexity(MeasuredMethod measured, string protocol, int length) =>
        measured.Under(protocol).Lengths.First(l => l.Length == length).Perplexity;
}
