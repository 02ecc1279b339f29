using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports;

/// <summary>What a sweep over methods and cutoffs found, in sentences; the first is the one to quote.</summary>
internal static class SweepFindings
{
    /// <summary>One sentence for each thing worth saying.</summary>
    public static IEnumerable<string> Of(SweepReport report)
    {
        if (report.Itself.Limit is not { } own)
        {
            yield break;
        }

        yield return Headline(report, own);
        if (Farthest(report.Before.Skip(1)) is { } untrained)
        {
            yield return $"Without fine-tuning {untrained.Measured.Method} reaches farthest, {Reach(untrained.Limit!)} tokens{Price(untrained)}.";
        }

        if (Farthest(report.After) is { } tuned)
        {
            yield return $"After fine-tuning {tuned.Rope} at {Numbers.Count(tuned.Cutoff!.Value)} tokens reaches farthest, {Reach(tuned.Limit!)} tokens{Price(tuned)}.";
        }
    }

    /// <summary>Before, after, and the slope, in one sentence.</summary>
    private static string Headline(SweepReport report, EffectiveContextLimit own)
    {
        var before = $"The checkpoint as it is ({report.Itself.Measured.Method}, native {Numbers.Count(report.NativeLength)}) has an effective context of {Reach(own)} tokens";
        var after = report.Cutoffs.Select(cutoff => (cutoff, cells: report.After.Where(cell => cell.Cutoff == cutoff && cell.Limit is not null).ToList()))
            .Where(at => at.cells.Count > 0)
            .Select(at => $"at {Numbers.Count(at.cutoff)} of {Range([.. at.cells.Select(cell => cell.Limit!)])}").ToList();
        var slope = report.Slope is { } fit
            ? $"; it grows as cutoff^{Numbers.Exponent(fit.Exponent)}{(fit.Interval is { } i ? $" (95% {Numbers.Exponent(i.Low)} to {Numbers.Exponent(i.High)})" : "")}, 1 being in proportion"
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
}
