using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace CutoffLen.Reports;

/// <summary>A sweep on the terminal.</summary>
public static class PerplexityConsole
{
    /// <summary>A table for each protocol, and what was found.</summary>
    public static IEnumerable<IRenderable> Of(PerplexityReport report)
    {
        foreach (var protocol in report.Protocols)
        {
            yield return Table(report, protocol.Name);
        }

        foreach (var finding in Findings.Of(report))
        {
            yield return new Text(finding);
        }

        foreach (var note in report.Notes)
        {
            yield return new Text(note, new Style(Color.Grey));
        }
    }

    private static Table Table(PerplexityReport report, string protocol)
    {
        var table = new Table().RoundedBorder().Title(new TableTitle(Markup.Escape($"perplexity, {protocol}, {report.Dtype}")));
        table.AddColumn(new TableColumn("").NoWrap());
        foreach (var length in report.Lengths)
        {
            table.AddColumn(new TableColumn(Numbers.Tokens(length)).RightAligned().NoWrap());
        }

        table.AddColumn(new TableColumn("effective context").RightAligned().NoWrap());
        var results = report.Measured.Select(m => m.Protocols.First(p => p.Protocol == protocol)).ToList();
        for (var row = 0; row < report.Measured.Count; row++)
        {
            var measured = report.Measured[row];
            table.AddRow(
            [
                new Text(report.LabelOf(measured)),
                .. results[row].Lengths.Select((length, i) => Cell(length, results.Min(r => r.Lengths[i].Perplexity))),
                new Text(measured.Curve is { } curve ? Limit(curve.EffectiveContext) : "-"),
            ]);
        }

        return table;
    }

    private static Rows Cell(LengthResult result, double? lowest) => result.Perplexity is not { } perplexity
        ? new Rows(new Text("-"))
        : new Rows(
            new Text(Numbers.Perplexity(perplexity), perplexity <= lowest ? new Style(decoration: Decoration.Bold) : Style.Plain),
            new Text(result.PerplexityInterval is { } interval ? Numbers.Perplexity(interval) : "", new Style(Color.Grey)));

    private static string Limit(EffectiveContextLimit limit) =>
        limit.Tokens is null || limit.Interval is null ? limit.ToString() : $"{limit}\n{limit.IntervalText}";
}
