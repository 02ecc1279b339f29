using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Reports.Charts;
using CutoffLen.Reports.Html;

namespace CutoffLen.Reports;

/// <summary>The section of the page on RULER's scores.</summary>
internal static class RulerSection
{
    /// <summary>A heat map for each method, and the averages.</summary>
    public static XElement Of(Report report) => Page.Section(
        "RULER",
        "Score of each task in percent: the share of the expected strings that greedy decoding gives (arXiv 2404.06654), by length of prompt and answer.",
        report.Methods.Select(measured => new[]
        {
            Page.Plain("h3", report.LabelOf(measured)),
            Page.Figure(Map(report.LabelOf(measured), measured.Ruler!)),
        }),
        Averages(report));

    private static Func<double, string, XElement> Map(string label, RulerResult ruler) => new HeatMap(
        $"RULER scores of {label}, by task and length", "length, tokens", "task",
        [.. ruler.Lengths.Select(length => Numbers.Tokens(length))], ruler.Tasks,
        [.. ruler.Tasks.Select(task => (IReadOnlyList<HeatCell>)[.. ruler.Lengths.Select(length => Cell(ruler.At(task, length)))])]).Draw;

    private static HeatCell Cell(RulerCell cell) => new(
        cell.Score.Percent / 100, Numbers.Score(cell.Score.Percent),
        $"{cell.Task}, {Numbers.Count(cell.Length)} tokens: {Numbers.Score(cell.Score.Percent)} % of {cell.Shares.Count} samples\n95% {Intervals.Score(cell.Score.Interval)}");

    private static XElement Averages(Report report)
    {
        var first = report.Methods[0].Ruler!;
        return Page.Table(
            $"Average over the tasks with 95% intervals; effective length at a threshold of {Numbers.Short(first.Threshold)} %; averages weighted by length, increasing and decreasing",
            ["", .. first.Lengths.Select(length => Numbers.Tokens(length)), "effective length", "wAvg. (inc)", "wAvg. (dec)"],
            ReportTables.Rows(report, report.Methods, m =>
            [
                .. m.Ruler!.Lengths.Select(length => m.Ruler.Average(length)).Select(score => new object[] { Numbers.Score(score.Percent), Page.Sub(Intervals.Score(score.Interval)) }),
                Reach(m.Ruler),
                Numbers.Score(m.Ruler.WeightedAverage(increasing: true)),
                Numbers.Score(m.Ruler.WeightedAverage(increasing: false)),
            ]));
    }

    private static string Reach(RulerResult ruler) => ruler.EffectiveLength switch
    {
        null => $"< {Numbers.Count(ruler.Lengths[0])}",
        { } length when length == ruler.Lengths[^1] => $"≥ {Numbers.Count(length)}",
        { } length => Numbers.Count(length),
    };
}
