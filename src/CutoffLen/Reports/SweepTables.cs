using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Reports.Html;

namespace CutoffLen.Reports;

/// <summary>The tables that only a sweep has.</summary>
internal static class SweepTables
{
    /// <summary>The effect of fine-tuning at the same positions, by length.</summary>
    public static XElement AfterAgainstBefore(Report report, SweepSection sweep) => ReportTables.Differences(
        report, "Nats per token after fine-tuning less those before, under the same positions", report.Perplexity!.Lengths,
        sweep.After.Where(cell => cell.AgainstUntuned.Count > 0).Select(cell => ((MeasuredMethod)cell, cell.AgainstUntuned)));

    /// <summary>The methods against the first of them, tuned at the same cutoff; null with one method.</summary>
    public static XElement? AgainstFirst(Report report, SweepSection sweep)
    {
        var cells = sweep.After.Where(cell => cell.AgainstFirst.Count > 0).ToList();
        return cells.Count == 0 ? null : ReportTables.Differences(
            report, $"Nats per token more or less than {sweep.After.First().Rope} fine-tuned at the same cutoff", report.Perplexity!.Lengths,
            cells.Select(cell => ((MeasuredMethod)cell, cell.AgainstFirst)));
    }

    /// <summary>Every cell against the checkpoint as it is, at lengths up to its native one: the price.</summary>
    public static XElement Price(Report report, SweepSection sweep) => ReportTables.Differences(
        report, "Nats per token more or less than the checkpoint as it is, at lengths up to its native one",
        [.. report.Perplexity!.Lengths.Where(length => length <= sweep.NativeLength)],
        sweep.Cells.Skip(1).Select(cell => ((MeasuredMethod)cell, cell.AgainstItself)));

    /// <summary>The cost of the fine-tuning runs.</summary>
    public static XElement Cost(Report report, SweepSection sweep)
    {
        var cells = sweep.After.Where(cell => cell.Cost is not null).ToList();
        var seconds = cells.Sum(cell => cell.Cost!.Seconds ?? 0);
        return Page.Table(
            $"{Numbers.Count(cells.Sum(cell => cell.Cost!.Tokens))} tokens and {Numbers.Count(seconds)} seconds in all",
            ["", "steps", "tokens trained on", "seconds", "tokens a second", "last loss"],
            ReportTables.Rows(report, cells, cell =>
            [
                Numbers.Count(cell.Cost!.Steps), Numbers.Count(cell.Cost.Tokens),
                cell.Cost.Seconds is { } took ? Numbers.Count(took) : null,
                cell.Cost.Seconds is > 0 and { } time ? Numbers.Count(cell.Cost.Tokens / time) : null,
                cell.Cost.Loss is { } loss ? Numbers.Nats(loss) : null,
            ]));
    }

    /// <summary>How well theory predicts the contexts of RoPE with several bases.</summary>
    public static XElement TheoryScores(SweepSection sweep) => Page.Table(
        "Predicted against measured contexts of RoPE with a base, with 95% intervals",
        ["", "stage", "contexts", "rank correlation", "error factor"],
        sweep.Scores.Select(score => (IEnumerable<object>)
        [
            score.Bound, score.IsTuned ? "after" : "before", $"{score.Score.Limits}",
            WithInterval(score.Score.RankCorrelation, score.Score.RankInterval), WithInterval(score.Score.ErrorFactor, score.Score.ErrorInterval),
        ]));

    private static object WithInterval(double? value, Interval? interval) => value is not { } number ? Page.Missing() : new object[]
    {
        Numbers.Exponent(number), interval is { } i ? Page.Sub($"{Numbers.Exponent(i.Low)} to {Numbers.Exponent(i.High)}") : "",
    };

    /// <summary>The fits of effective context against cutoff.</summary>
    public static XElement Slopes(SweepSection sweep) => Page.Table(
        "Exponent b of effective context = a · cutoff^b",
        ["", "b", "limits fitted", "beyond the sweep"],
        sweep.Slopes.Select(slope => (IEnumerable<object>)
        [
            slope.Rope is { } rope ? Page.Breakable(rope) : "all methods",
            .. slope.Slope is { } fit
                ? (object[])[WithInterval(fit.Exponent, fit.Interval), $"{fit.Points}", $"{fit.Open}"]
                : [Page.Missing(), Page.Missing(), Page.Missing()],
        ]));

    /// <summary>Cells with a reach and a price.</summary>
    public static IReadOnlyList<SweepCell> Priced(SweepSection sweep) => [.. sweep.Cells.Where(cell => cell is { Limit: not null, Price: not null })];
}
