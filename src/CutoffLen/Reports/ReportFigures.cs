using System.Globalization;
using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Reports.Charts;

namespace CutoffLen.Reports;

/// <summary>The charts of a page, each drawn at any width.</summary>
internal static class ReportFigures
{
    // Below this position the openings of documents, not the context, decide the NLL.
    private const int FirstPosition = 8;

    // The curves of a sweep begin at the native length over this: they part beyond the native length.
    private const int SweepFirstShare = 8;

    /// <summary>Perplexity against length under one protocol.</summary>
    public static Func<double, string, XElement> Perplexity(Report report, string protocol)
    {
        var series = report.Methods.Select(m => new Series(report.LabelOf(m), [.. Points(m)])).ToList();
        var chart = new LineChart(
            $"Perplexity against context length under {protocol}", "context length, tokens", "perplexity (log)", LogY: true, Ceiling: 8, series, References(report));
        return (width, style) => chart.Draw(width, width < 500 ? 330 : 400, style);

        IEnumerable<ChartPoint> Points(MeasuredMethod measured) =>
            from result in measured.Under(protocol).Lengths
            where result.Perplexity is not null
            select new ChartPoint(result.Length, result.Perplexity!.Value, result.PerplexityInterval, Tip(result));

        static string Tip(LengthResult result) =>
            $"{Numbers.Count(result.Length)} tokens: perplexity {Numbers.Perplexity(result.Perplexity!.Value)}"
            + (result.PerplexityInterval is { } i ? $" (95% {Intervals.Perplexity(i)})" : "")
            + $"\n{Numbers.Count(result.Tokens)} tokens of {result.Documents} {(result.Documents == 1 ? "text" : "texts")}";
    }

    /// <summary>NLL against position, with the bounds that theory predicts for the first method.</summary>
    public static Func<double, string, XElement> ByPosition(Report report) => Curves(
        report, "Negative log-likelihood against position", report.Methods.Select(m => (report.LabelOf(m), m, (LineStyle?)null)),
        report.Methods[0].Bounds.Where(b => double.IsFinite(b.Tokens)).Select(b => new Reference(b.Tokens, b.Name, IsPrediction: true)));

    /// <summary>NLL against position, a curve for each method that has one.</summary>
    public static Func<double, string, XElement> Curves(
        Report report, string label, IEnumerable<(string Label, MeasuredMethod Measured, LineStyle? Style)> curves, IEnumerable<Reference>? bounds = null)
    {
        var first = report.Sweep is { } sweep ? sweep.NativeLength / SweepFirstShare : FirstPosition;
        var series = curves.Where(c => c.Measured.Curve is not null)
            .Select(c => new Series(c.Label, [.. Points(c.Measured.Curve!, first)]) { Color = c.Style?.Color, Dashed = c.Style?.Dashed ?? false });
        var chart = new LineChart(
            label, "position in the window, tokens", "nats per token", LogY: false, Ceiling: 2.5, [.. series], [.. References(report), .. bounds ?? []]);
        return (width, style) => chart.Draw(width, width < 500 ? 330 : 400, style);
    }

    /// <summary>A measure of attention against the query's position, a curve for each method that has it.</summary>
    public static Func<double, string, XElement> AttentionByPosition(Report report, string label, Func<AttentionBucket, double> value)
    {
        var series = report.Methods.Where(m => m.AttentionDistributions is not null).Select(m => new Series(
            report.LabelOf(m),
            [.. AttentionBucket.Of(m.AttentionDistributions!).Select(bucket => new ChartPoint(
                Math.Sqrt((double)bucket.From * bucket.To), value(bucket), null,
                $"positions {Numbers.Count(bucket.From)} to {Numbers.Count(bucket.To - 1)}: {Numbers.Nats(value(bucket))} nats"))]));
        var chart = new LineChart($"{label} against position", "position of the query, tokens", label, LogY: false, Ceiling: double.PositiveInfinity, [.. series], References(report));
        return (width, style) => chart.Draw(width, width < 500 ? 330 : 400, style);
    }

    /// <summary>Effective contexts with their intervals.</summary>
    public static Func<double, string, XElement> EffectiveContexts(Report report)
    {
        var measured = report.Methods.Where(m => m.Limit is not null).ToList();
        var rows = measured.Select(m => new IntervalRow(report.LabelOf(m), m.Limit!.Tokens, m.Limit.Interval, Intervals.LimitWithInterval(m.Limit))
        {
            Style = m is SweepCell cell ? SweepFigures.StyleOf(report.Sweep!, cell) : null,
        });
        return new IntervalChart(
            $"Effective context of each method {(report.Sweep is null ? "" : "before and after fine-tuning, ")}with its 95% interval", "effective context, tokens", measured.Max(m => m.Limit!.Swept), [.. rows], References(report)).Draw;
    }

    /// <summary>Passkey retrieval, depth by length: the share of keys found.</summary>
    public static Func<double, string, XElement> Passkey(string label, PasskeyResult passkey) => PasskeyMap(
        $"Passkeys found by {label}, by depth and length", passkey, cell => (cell.Accuracy, Numbers.Percent(cell.Accuracy)));

    /// <summary>Passkey retrieval of a model too small to answer: the likelihood rank of the hidden key among others; a guess is in the middle.</summary>
    public static Func<double, string, XElement> PasskeyRank(string label, PasskeyResult passkey) => PasskeyMap(
        $"Likelihood rank of the passkeys under {label}, by depth and length", passkey,
        cell => (cell.Candidates < 2 ? 0 : Math.Clamp(1 - (2 * (cell.MeanRank - 1) / (cell.Candidates - 1)), 0, 1), cell.MeanRank.ToString("0.0", CultureInfo.InvariantCulture)));

    private static Func<double, string, XElement> PasskeyMap(string label, PasskeyResult passkey, Func<PasskeyCell, (double Share, string Text)> shown)
    {
        var lengths = passkey.Cells.Select(c => c.Length).Distinct().Order().ToList();
        var depths = passkey.Cells.Select(c => c.Depth).Distinct().Order().ToList();
        var cells = depths.Select(depth => (IReadOnlyList<HeatCell>)[.. lengths.Select(length => Cell(passkey.Cells.First(c => c.Length == length && c.Depth == depth)))]);
        var map = new HeatMap(
            label, "prompt length, tokens", "depth of the key",
            [.. lengths.Select(length => Numbers.Tokens(length))], [.. depths.Select(Numbers.Percent)], [.. cells]);
        return map.Draw;

        HeatCell Cell(PasskeyCell cell)
        {
            var (share, text) = shown(cell);
            return new HeatCell(
                share, text,
                $"{Numbers.Count(cell.Length)} tokens, depth {Numbers.Percent(cell.Depth)}: {cell.Found} of {cell.Trials} found\n"
                + FormattableString.Invariant($"{Numbers.Count(cell.Distance)} tokens away; mean rank {cell.MeanRank:0.0} of {cell.Candidates}"));
        }
    }

    private static IEnumerable<ChartPoint> Points(PositionCurve curve, int first) =>
        from point in curve.Points
        where point.From >= Math.Min(first, curve.Length / 16)
        let x = Math.Sqrt((double)point.From * point.To)
        select new ChartPoint(x, point.Nll, point.Interval,
            $"positions {Numbers.Count(point.From)} to {Numbers.Count(point.To - 1)}: {Numbers.Nats(point.Nll)} nats"
            + (point.Interval is { } i ? $" (95% {Numbers.Nats(i.Low)}–{Numbers.Nats(i.High)})" : "")
            + $"\n{Numbers.Count(point.Tokens)} tokens");

    // The native lengths, and the cutoffs of a sweep.
    private static IReadOnlyList<Reference> References(Report report) =>
    [
        .. report.Methods.Select(m => m.NativeLength).Distinct().Select(length => new Reference(length, "native", IsPrediction: false)),
        .. (report.Sweep?.Cutoffs ?? []).Where(cutoff => cutoff != report.Sweep!.NativeLength).Select(cutoff => new Reference(cutoff, Numbers.Tokens(cutoff), IsPrediction: true)),
    ];
}
