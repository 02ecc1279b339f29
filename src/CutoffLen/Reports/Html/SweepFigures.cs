using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Reports.Charts;

namespace CutoffLen.Reports.Html;

/// <summary>The pictures of a sweep over methods and cutoffs; a method has one colour in all that compare methods.</summary>
internal static class SweepFigures
{
    // Curves begin at this share of the native length: where they part is beyond it, and the openings of texts are noise.
    private const int FirstShare = 8;

    /// <summary>Where every cell's context ends.</summary>
    public static Func<double, string, XElement> EffectiveContexts(SweepReport report)
    {
        var cells = report.Cells.Where(cell => cell.Limit is not null).ToList();
        var rows = cells.Select(cell => new IntervalRow(cell.Label, cell.Limit!.Tokens, cell.Limit.Interval, Numbers.LimitWithInterval(cell.Limit)) { Style = StyleOf(report, cell) }).ToList();
        return new IntervalChart(
            "Effective context of each method before and after fine-tuning, with its 95% interval", "effective context, tokens",
            cells.Max(cell => cell.Limit!.Swept), rows, References(report)).Draw;
    }

    /// <summary>Effective context against the cutoff, with the fit over all methods.</summary>
    public static Func<double, string, XElement> AgainstCutoff(SweepReport report)
    {
        var tuned = report.After.Where(cell => cell.Limit is not null).ToList();
        var ropes = tuned.Select(cell => cell.Rope).Distinct().ToList();
        var points = tuned.Select(cell => Point(cell.Cutoff!.Value, cell, cell.Label) with { Shift = 8 * (ropes.IndexOf(cell.Rope) - ((ropes.Count - 1) / 2.0)) })
            .Prepend(Point(report.NativeLength, report.Itself, $"{report.Model} as it is, trained at {Numbers.Count(report.NativeLength)}")).ToList();
        var (first, last) = ((double)report.NativeLength, (double)report.Cutoffs[^1]);
        List<ScatterLine> lines = [new([(first / 2, first / 2), (last * 2, last * 2)], "guide")];
        if (report.Slope is { } fit)
        {
            lines.Add(new([(first / 1.15, fit.At(first / 1.15)), (last * 1.15, fit.At(last * 1.15))], "line s0"));
        }

        return new ScatterChart(
            "Effective context against the cutoff length of training", "cutoff length of training, tokens", "effective context, tokens", TokensUp: true,
            [("as it is", new LineStyle(0)), .. ropes.Select(rope => (rope, StyleOf(report, rope)))], points, lines) { Shown = [first, last] }.Draw;

        ScatterPoint Point(double cutoff, SweepCell cell, string name) => new(
            cutoff, cell.Limit!.Tokens ?? cell.Limit.Swept, cell.IsTuned ? StyleOf(report, cell.Rope) : new LineStyle(0), "",
            $"{name}\neffective context {Numbers.LimitWithInterval(cell.Limit)}") { YInterval = cell.Limit.Interval, IsOpen = cell.Limit.Tokens is null };
    }

    /// <summary>Reach against price: what each cell gains and what it costs at lengths the checkpoint already had.</summary>
    public static Func<double, string, XElement> Pareto(SweepReport report)
    {
        var cells = SweepTables.Priced(report);
        var front = ParetoFront.Of([.. cells.Select(SweepTables.ReachAndPrice)]);
        var points = cells.Select(cell => new ScatterPoint(
            SweepTables.ReachAndPrice(cell).Reach, cell.Price!.Nats, StyleOf(report, cell), cell.Cutoff is { } cutoff ? Numbers.Tokens(cutoff) : "",
            $"{cell.Label}\neffective context {Numbers.LimitWithInterval(cell.Limit!)}, price {Numbers.Signed(cell.Price.Nats)} nats at {Numbers.Count(cell.Price.Length)} tokens")
        {
            XInterval = cell.Limit!.Interval, YInterval = cell.Price.Interval, IsOpen = cell.Limit.Tokens is null,
        }).ToList();
        var ropes = cells.Select(cell => cell.Rope).Distinct();
        return new ScatterChart(
            "Effective context of each cell against its price at the native length", "effective context, tokens",
            $"nats per token more than the checkpoint at {Numbers.Count(cells[0].Price!.Length)} tokens", TokensUp: false,
            [.. ropes.Select(rope => (rope, StyleOf(report, rope)))], points,
            [new([.. front.Select(i => (points[i].X, points[i].Y))], "guide")]) { Shown = [report.NativeLength] }.Draw;
    }

    /// <summary>Loss by position of cells side by side, each method in its colour.</summary>
    public static Func<double, string, XElement> ByPosition(SweepReport report, string label, IEnumerable<SweepCell> cells) => Curves(
        label, report,
        cells.Where(cell => cell.Measured.Curve is not null).Select(cell =>
            (cell == report.Itself ? $"as it is ({cell.Label})" : cell.Measured.Method, cell, cell == report.Itself ? new LineStyle(0) : StyleOf(report, cell.Rope))));

    /// <summary>Loss by position of one method: before dashed, after solid, a colour for each cutoff.</summary>
    public static Func<double, string, XElement> OfMethod(SweepReport report, string rope)
    {
        var cutoffs = report.Cutoffs.ToList();
        var tuned = report.After.Where(cell => cell.Rope == rope).Select(cell =>
            ($"tuned at {Numbers.Tokens(cell.Cutoff!.Value)}", cell, new LineStyle(1 + cutoffs.IndexOf(cell.Cutoff.Value))));
        var before = report.Before.Where(cell => cell.Rope == rope && cell != report.Itself).Select(cell =>
            ($"untuned {cell.Measured.Method}", cell, new LineStyle(ColorOfCutoff(cell), Dashed: true)));
        return Curves(
            $"Negative log-likelihood against position under {rope}, before and after fine-tuning", report,
            [("as it is", report.Itself, new LineStyle(0)), .. before, .. tuned]);

        // The colour of the cutoff whose positions these are.
        int ColorOfCutoff(SweepCell cell) => report.After.FirstOrDefault(other => other.Rope == rope && other.Measured.Method == cell.Measured.Method)?.Cutoff is { } cutoff
            ? 1 + cutoffs.IndexOf(cutoff)
            : 0;
    }

    private static Func<double, string, XElement> Curves(string label, SweepReport report, IEnumerable<(string Label, SweepCell Cell, LineStyle Style)> curves)
    {
        var series = curves.Where(curve => curve.Cell.Measured.Curve is not null)
            .Select(curve => new Series(curve.Label, [.. PerplexityFigures.CurvePoints(curve.Cell.Measured.Curve!, report.NativeLength / FirstShare)]) { Color = curve.Style.Color, Dashed = curve.Style.Dashed });
        var chart = new LineChart(label, "position in the window, tokens", "nats per token", LogY: false, Ceiling: 2.5, [.. series], References(report));
        return (width, style) => chart.Draw(width, width < 500 ? 330 : 400, style);
    }

    private static IReadOnlyList<Reference> References(SweepReport report) =>
    [
        new(report.NativeLength, "native", IsPrediction: false),
        .. report.Cutoffs.Where(cutoff => cutoff != report.NativeLength).Select(cutoff => new Reference(cutoff, Numbers.Tokens(cutoff), IsPrediction: true)),
    ];

    private static LineStyle StyleOf(SweepReport report, SweepCell cell) => new(ColorOf(report, cell.Rope), Dashed: !cell.IsTuned);

    private static LineStyle StyleOf(SweepReport report, string rope) => new(ColorOf(report, rope));

    // Grey is the checkpoint as it is.
    private static int ColorOf(SweepReport report, string rope) => 1 + report.Ropes.ToList().IndexOf(rope);
}
