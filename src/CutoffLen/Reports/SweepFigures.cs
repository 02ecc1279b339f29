using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Reports.Charts;

namespace CutoffLen.Reports;

/// <summary>The charts that only a sweep has. A method has one colour in all charts that compare methods.</summary>
internal static class SweepFigures
{
    /// <summary>Effective context against the cutoff, with the fit over all methods.</summary>
    public static Func<double, string, XElement> AgainstCutoff(SweepSection sweep)
    {
        var tuned = sweep.After.Where(cell => cell.Limit is not null).ToList();
        var ropes = tuned.Select(cell => cell.Rope).Distinct().ToList();
        var points = tuned.Select(cell => Point(cell.Cutoff!.Value, cell, cell.Label) with { Shift = 8 * (ropes.IndexOf(cell.Rope) - ((ropes.Count - 1) / 2.0)) })
            .Prepend(Point(sweep.NativeLength, sweep.Itself, $"{sweep.Model} as it is, trained at {Numbers.Count(sweep.NativeLength)}")).ToList();
        var (first, last) = ((double)sweep.NativeLength, (double)sweep.Cutoffs[^1]);
        List<ScatterLine> lines = [new([(first / 2, first / 2), (last * 2, last * 2)], "guide")];
        if (sweep.Slope is { } fit)
        {
            lines.Add(new([(first / 1.15, fit.At(first / 1.15)), (last * 1.15, fit.At(last * 1.15))], "line s0"));
        }

        return new ScatterChart(
            "Effective context against the cutoff length of training", "cutoff length of training, tokens", "effective context, tokens", TokensUp: true,
            [("as it is", new LineStyle(0)), .. ropes.Select(rope => (rope, StyleOf(sweep, rope)))], points, lines) { Shown = [first, last] }.Draw;

        ScatterPoint Point(double cutoff, SweepCell cell, string name) => new(
            cutoff, cell.Limit!.Tokens ?? cell.Limit.Swept, cell.IsTuned ? StyleOf(sweep, cell.Rope) : new LineStyle(0), "",
            $"{name}\neffective context {Intervals.LimitWithInterval(cell.Limit)}") { YInterval = cell.Limit.Interval, IsOpen = cell.Limit.Tokens is null };
    }

    /// <summary>Effective context against the base of RoPE, with what theory predicts for each training length.</summary>
    public static Func<double, string, XElement> AgainstBase(SweepSection sweep)
    {
        var cutoffs = sweep.Cutoffs.ToList();
        LineStyle Style(SweepCell cell) => cell.Cutoff is { } cutoff ? new LineStyle(1 + cutoffs.IndexOf(cutoff)) : new LineStyle(0, Dashed: true);
        double BaseBound(SweepCell cell) => cell.Bounds.First(bound => bound.Name == MeasuredMethod.BaseBoundName).Tokens;
        string Trained(SweepCell cell) => cell.Cutoff is { } cutoff ? $"tuned at {Numbers.Tokens(cutoff)}" : "before";

        var stages = sweep.OfBases.GroupBy(cell => cell.Cutoff).OrderBy(stage => stage.Key ?? 0).ToList();
        var points = sweep.OfBases.Select(cell => new ScatterPoint(
            cell.ScalingLaw!.Base, cell.Limit!.Tokens ?? cell.Limit.Swept, Style(cell), "",
            $"base {Numbers.Short(cell.ScalingLaw.Base)}, {Trained(cell)}\neffective context {Intervals.LimitWithInterval(cell.Limit)}\n"
            + string.Join(", ", cell.Bounds.Where(bound => double.IsFinite(bound.Tokens)).Select(bound => $"{bound.Name} {Numbers.Count(bound.Tokens)}")))
        {
            YInterval = cell.Limit.Interval, IsOpen = cell.Limit.Tokens is null,
        });
        List<ScatterLine> lines = [.. stages.Select(stage => new ScatterLine(
            [.. stage.Select(cell => (cell.ScalingLaw!.Base, cell.ScalingLaw.Bound))], Style(stage.First()).Line))];
        // The bound of the base alone: training does not change it.
        lines.Add(new([.. sweep.OfBases.Select(cell => (cell.ScalingLaw!.Base, BaseBound(cell))).Where(point => double.IsFinite(point.Item2)).Distinct()], "guide"));
        return new ScatterChart(
            "Effective context against the base, measured and predicted", "base of RoPE", "effective context, tokens", TokensUp: true,
            [.. stages.Select(stage => (Trained(stage.First()), Style(stage.First())))], [.. points], [.. lines.Where(line => line.Points.Count > 1)])
        {
            TokensAcross = false, Shown = [sweep.NativeLength, .. cutoffs],
        }.Draw;
    }

    /// <summary>Reach against price: what each cell gains and what it costs at lengths the checkpoint already had.</summary>
    public static Func<double, string, XElement> Pareto(SweepSection sweep)
    {
        var cells = SweepTables.Priced(sweep);
        var front = ParetoFront.Of([.. cells.Select(ReachAndPrice)]);
        var points = cells.Select(cell => new ScatterPoint(
            ReachAndPrice(cell).Reach, cell.Price!.Nats, StyleOf(sweep, cell), cell.Cutoff is { } cutoff ? Numbers.Tokens(cutoff) : "",
            $"{cell.Label}\neffective context {Intervals.LimitWithInterval(cell.Limit!)}, price {Numbers.Signed(cell.Price.Nats)} nats at {Numbers.Count(cell.Price.Length)} tokens")
        {
            XInterval = cell.Limit!.Interval, YInterval = cell.Price.Interval, IsOpen = cell.Limit.Tokens is null,
        }).ToList();
        var ropes = cells.Select(cell => cell.Rope).Distinct();
        return new ScatterChart(
            "Effective context of each cell against its price at the native length", "effective context, tokens",
            $"nats per token more than the checkpoint at {Numbers.Count(cells[0].Price!.Length)} tokens", TokensUp: false,
            [.. ropes.Select(rope => (rope, StyleOf(sweep, rope)))], points,
            [new([.. front.Select(i => (points[i].X, points[i].Y))], "guide")]) { Shown = [sweep.NativeLength] }.Draw;
    }

    /// <summary>Loss by position of cells side by side, each method in its colour.</summary>
    public static Func<double, string, XElement> ByPosition(Report report, SweepSection sweep, string label, IEnumerable<SweepCell> cells) => ReportFigures.Curves(
        report, label, cells.Select(cell =>
            (cell == sweep.Itself ? $"as it is ({cell.Label})" : cell.Method, (MeasuredMethod)cell, (LineStyle?)(cell == sweep.Itself ? new LineStyle(0) : StyleOf(sweep, cell.Rope)))));

    /// <summary>Loss by position of one method: before dashed, after solid, a colour for each cutoff.</summary>
    public static Func<double, string, XElement> OfMethod(Report report, SweepSection sweep, string rope)
    {
        var cutoffs = sweep.Cutoffs.ToList();
        var tuned = sweep.After.Where(cell => cell.Rope == rope).Select(cell =>
            ($"tuned at {Numbers.Tokens(cell.Cutoff!.Value)}", (MeasuredMethod)cell, (LineStyle?)new LineStyle(1 + cutoffs.IndexOf(cell.Cutoff.Value))));
        var before = sweep.Before.Where(cell => cell.Rope == rope && cell != sweep.Itself).Select(cell =>
            ($"untuned {cell.Method}", (MeasuredMethod)cell, (LineStyle?)new LineStyle(ColorOfCutoff(cell), Dashed: true)));
        return ReportFigures.Curves(
            report, $"Negative log-likelihood against position under {rope}, before and after fine-tuning",
            [("as it is", sweep.Itself, new LineStyle(0)), .. before, .. tuned]);

        // The colour of the cutoff whose positions these are.
        int ColorOfCutoff(SweepCell cell) => sweep.After.FirstOrDefault(other => other.Rope == rope && other.Method == cell.Method)?.Cutoff is { } cutoff
            ? 1 + cutoffs.IndexOf(cutoff)
            : 0;
    }

    /// <summary>The style of a cell: the colour of its method, dashed before fine-tuning.</summary>
    public static LineStyle StyleOf(SweepSection sweep, SweepCell cell) => StyleOf(sweep, cell.Rope) with { Dashed = !cell.IsTuned };

    // Grey, colour 0, is the checkpoint as it is.
    private static LineStyle StyleOf(SweepSection sweep, string rope) => new(1 + sweep.Ropes.ToList().IndexOf(rope));

    // Where no limit was found, the longest measured length is the reach.
    private static (double Reach, double Price) ReachAndPrice(SweepCell cell) => (cell.Limit!.Tokens ?? cell.Limit.Swept, cell.Price!.Nats);
}
