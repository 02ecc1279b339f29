using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace CutoffLen.Reports;

/// <summary>A sweep over methods and cutoffs on the terminal.</summary>
public static class SweepConsole
{
    /// <summary>A table of all cells, and what was found.</summary>
    public static IEnumerable<IRenderable> Of(SweepReport report)
    {
        yield return Table(report);
        foreach (var finding in SweepFindings.Of(report))
        {
            yield return new Text(finding);
        }

        foreach (var note in report.Notes)
        {
            yield return new Text(note, new Style(Color.Grey));
        }
    }

    private static Table Table(SweepReport report)
    {
        var table = new Table().RoundedBorder().Title(new TableTitle(Markup.Escape($"{report.Model}: perplexity by length, {report.Protocol.Name}, {report.Dtype}")));
        table.AddColumn(new TableColumn("before fine-tuning").NoWrap());
        IEnumerable<string> columns = [.. report.Lengths.Select(length => Numbers.Tokens(length)), "effective context", $"nats at {report.Itself.Price?.Length ?? report.NativeLength}"];
        foreach (var column in columns)
        {
            table.AddColumn(new TableColumn(column).RightAligned().NoWrap());
        }

        foreach (var cell in report.Before)
        {
            table.AddRow(Row(cell, cell.Measured.Method));
        }

        foreach (var cutoff in report.Cutoffs)
        {
            table.AddEmptyRow();
            table.AddRow([new Text($"fine-tuned at {Numbers.Tokens(cutoff)}", new Style(decoration: Decoration.Underline))]);
            foreach (var cell in report.After.Where(cell => cell.Cutoff == cutoff))
            {
                table.AddRow(Row(cell, cell.Measured.Method));
            }
        }

        return table;
    }

    private static IEnumerable<IRenderable> Row(SweepCell cell, string label)
    {
        yield return new Text(label);
        foreach (var result in cell.Measured.Protocols[0].Lengths)
        {
            // Dim beyond where the context ends: those numbers are of a model that is lost.
            var lost = cell.Limit is { Tokens: { } tokens } && result.Length > tokens;
            yield return result.Perplexity is { } perplexity
                ? new Text(Numbers.Perplexity(perplexity), lost ? new Style(Color.Grey) : Style.Plain)
                : new Text("-");
        }

        yield return new Text(cell.Limit is { } limit ? Limit(limit) : "-", new Style(decoration: Decoration.Bold));
        yield return new Text(cell.Price is { } price ? Numbers.Signed(price.Nats) : "-");
    }

    private static string Limit(EffectiveContextLimit limit) =>
        limit.Tokens is null || limit.Interval is null ? limit.ToString() : $"{limit} ({limit.IntervalText})";
}
