using System.Globalization;
using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Reports.Charts;

namespace CutoffLen.Reports.Html;

/// <summary>The pictures of a sweep, each drawn at any width.</summary>
internal static class PerplexityFigures
{
    // Under this many tokens the openings of texts, not the context, decide the NLL.
    private const int FirstPosition = 8;

    /// <summary>Perplexity against length under one protocol.</summary>
    public static Func<double, string, XElement> Perplexity(PerplexityReport report, string protocol)
    {
        var series = report.Measured.Select(m => new Series(report.LabelOf(m), [.. Points(m)])).ToList();
        var chart = new LineChart(
            $"Perplexity against context length under {protocol}", "context length, tokens", "perplexity (log)", LogY: true, Ceiling: 8, series, Natives(report));
        return (width, style) => chart.Draw(width, width < 500 ? 330 : 400, style);

        IEnumerable<ChartPoint> Points(MeasuredMethod measured) =>
            from result in measured.Protocols.First(p => p.Protocol == protocol).Lengths
            where result.Perplexity is not null
            select new ChartPoint(result.Length, result.Perplexity!.Value, result.PerplexityInterval, Tip(result));

        static string Tip(LengthResult result) =>
            $"{Numbers.Count(result.Length)} tokens: perplexity {Numbers.Perplexity(result.Perplexity!.Value)}"
            + (result.PerplexityInterval is { } i ? $" (95% {Numbers.Perplexity(i)})" : "")
            + $"\n{Numbers.Count(result.Tokens)} tokens of {result.Texts} {(result.Texts == 1 ? "text" : "texts")}";
    }

    /// <summary>NLL against position, with what theory predicts for the first result's model.</summary>
    public static Func<double, string, XElement> ByPosition(PerplexityReport report)
    {
        var series = report.Measured.Where(m => m.Curve is not null).Select(m => new Series(report.LabelOf(m), [.. CurvePoints(m.Curve!)])).ToList();
        var references = Natives(report).Concat(report.Measured[0].Bounds
            .Where(b => double.IsFinite(b.Tokens)).Select(b => new Reference(b.Tokens, b.Name, IsPrediction: true)));
        var chart = new LineChart("Negative log-likelihood against position", "position in the window, tokens", "nats per token", LogY: false, Ceiling: 2.5, series, [.. references]);
        return (width, style) => chart.Draw(width, width < 500 ? 330 : 400, style);
    }

    /// <summary>The points of a curve of NLL by position, from a position on that the window has.</summary>
    public static IEnumerable<ChartPoint> CurvePoints(PositionCurve curve, int first = FirstPosition) =>
        from point in curve.Points
        where point.From >= Math.Min(first, curve.Length / 16)
        let x = Math.Sqrt((double)point.From * point.To)
        select new ChartPoint(x, point.Nll, point.Interval,
            $"positions {Numbers.Count(point.From)} to {Numbers.Count(point.To - 1)}: {Numbers.Nats(point.Nll)} nats"
            + (point.Interval is { } i ? $" (95% {Numbers.Nats(i.Low)}–{Numbers.Nats(i.High)})" : "")
            + $"\n{Numbers.Count(point.Tokens)} tokens");

    /// <summary>Effective contexts with their intervals.</summary>
    public static Func<double, string, XElement> EffectiveContexts(PerplexityReport report)
    {
        var measured = report.Measured.Where(m => m.Curve is not null).ToList();
        var rows = measured.Select(m =>
        {
            var limit = m.Curve!.EffectiveContext;
            return new IntervalRow(report.LabelOf(m), limit.Tokens, limit.Interval, Numbers.LimitWithInterval(limit));
        }).ToList();
        var chart = new IntervalChart(
            "Effective context of each method with its 95% interval", "effective context, tokens", measured.Max(m => m.Curve!.EffectiveContext.Swept), rows, Natives(report));
        return chart.Draw;
    }

    /// <summary>Passkey retrieval, depth by length: the share of keys found.</summary>
    public static Func<double, string, XElement> Passkey(string label, PasskeyResult passkey) => PasskeyMap(
        $"Passkeys found by {label}, by depth and length", passkey, cell => (cell.Accuracy, Numbers.Percent(cell.Accuracy)));

    /// <summary>The same for models too small to answer: how much likelier than other keys the hidden one is; a guess is in the middle.</summary>
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

    private static IReadOnlyList<Reference> Natives(PerplexityReport report) =>
        [.. report.Measured.Select(m => m.NativeLength).Distinct().Select(length => new Reference(length, "native", IsPrediction: false))];
}
