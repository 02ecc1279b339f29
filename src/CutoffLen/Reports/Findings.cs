using CutoffLen.Common;

namespace CutoffLen.Reports;

/// <summary>What a sweep found, in sentences: the first thing a reader sees.</summary>
internal static class Findings
{
    /// <summary>One sentence for each thing worth saying.</summary>
    public static IEnumerable<string> Of(PerplexityReport report)
    {
        var protocol = report.Protocols[0].Name;
        foreach (var measured in report.Measured.Where(m => m.Curve is not null).Take(1))
        {
            var limit = measured.Curve!.EffectiveContext;
            var interval = limit.Interval is null || limit.Tokens is null ? "" : $" (95% interval {Numbers.LimitInterval(limit)})";
            yield return limit.Tokens is { } tokens
                ? $"With {report.LabelOf(measured)} the context ends at about {Numbers.Count(tokens)} tokens{interval}; the native length is {Numbers.Count(measured.NativeLength)}."
                : $"With {report.LabelOf(measured)} no limit was found below {Numbers.Count(limit.Swept)} tokens; the native length is {Numbers.Count(measured.NativeLength)}.";
        }

        var at = report.Lengths.LastOrDefault(length => report.Measured.All(m => Perplexity(m, protocol, length) is not null));
        if (at > 0 && report.Measured.Count > 1)
        {
            var ordered = report.Measured.OrderBy(m => Perplexity(m, protocol, at)).ToList();
            yield return $"At {Numbers.Count(at)} tokens {report.LabelOf(ordered[0])} has the lowest perplexity, {Numbers.Perplexity(Perplexity(ordered[0], protocol, at)!.Value)}; "
                + $"{report.LabelOf(ordered[^1])} has the highest, {Numbers.Perplexity(Perplexity(ordered[^1], protocol, at)!.Value)}.";
        }

        var farthest = report.Measured.Skip(1).Where(m => m.Curve is not null).MaxBy(m => m.Curve!.EffectiveContext.Tokens ?? double.PositiveInfinity);
        var first = report.Measured[0].Curve?.EffectiveContext.Tokens;
        if (farthest is not null && first is { } before && (farthest.Curve!.EffectiveContext.Tokens ?? double.PositiveInfinity) > before)
        {
            yield return farthest.Curve.EffectiveContext.Tokens is { } tokens
                ? $"{report.LabelOf(farthest)} reaches farthest, {Numbers.Count(tokens)} tokens."
                : $"With {report.LabelOf(farthest)} no limit was found below {Numbers.Count(farthest.Curve.EffectiveContext.Swept)} tokens.";
        }
    }

    private static double? Perplexity(MeasuredMethod measured, string protocol, int length) =>
        measured.Protocols.First(p => p.Protocol == protocol).Lengths.First(l => l.Length == length).Perplexity;
}
