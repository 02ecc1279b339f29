using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Evaluation.Statistics;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace CutoffLen.Reports;

/// <summary>A report on the terminal: tables, findings, notes.</summary>
public static class ReportConsole
{
    private static readonly Style Grey = new(Color.Grey);

    /// <summary>The parts, from top to bottom.</summary>
    public static IEnumerable<IRenderable> Of(Report report) =>
    [
        .. Tables(report),
        .. Findings.Of(report).Select(finding => new Text(finding)),
        .. (report.Perplexity?.Notes ?? []).Select(note => new Text(note, Grey)),
    ];

    private static IEnumerable<Table> Tables(Report report) => report switch
    {
        { Sweep: { } sweep } => [.. report.Published is { } published ? [PublishedTable(published)] : (Table[])[], SweepTable(report, sweep)],
        { Perplexity: { } perplexity } => perplexity.Protocols.Select(protocol => PerplexityTable(report, perplexity, protocol.Name)),
        { IsOfSummaries: true } => [SummariesTable(report)],
        { IsRuler: true } => report.Methods.Select(measured => RulerTable(report.LabelOf(measured), measured.Ruler!)),
        _ => report.Methods.Select(measured => PasskeyTable(report.LabelOf(measured), measured.Passkey!)),
    };

    private static Table PerplexityTable(Report report, PerplexitySection perplexity, string protocol)
    {
        var table = Table(
            $"perplexity, {protocol}, {report.Dtype}", new TableColumn("").NoWrap(),
            [.. perplexity.Lengths.Select(length => Numbers.Tokens(length)), "effective context"], column => column.NoWrap());
        var results = report.Methods.Select(m => m.Under(protocol)).ToList();
        foreach (var (row, measured) in report.Methods.Index())
        {
            table.AddRow(
            [
                new Text(report.LabelOf(measured)),
                .. results[row].Lengths.Select((length, i) => Cell(length, results.Min(r => r.Lengths[i].Perplexity))),
                new Text(Limit(measured.Limit, "{0}\n{1}")),
            ]);
        }

        return table;
    }

    private static Rows Cell(LengthResult result, double? lowest) => result.Perplexity is not { } perplexity
        ? new Rows(new Text("-"))
        : new Rows(
            new Text(Numbers.Perplexity(perplexity), perplexity <= lowest ? new Style(decoration: Decoration.Bold) : Style.Plain),
            new Text(result.PerplexityInterval is { } interval ? Intervals.Perplexity(interval) : "", Grey));

    private static Table SweepTable(Report report, SweepSection sweep)
    {
        var perplexity = report.Perplexity!;
        var table = Table(
            $"{sweep.Model}: perplexity by length, {perplexity.Protocols[0].Name}, {report.Dtype}", new TableColumn("before fine-tuning").NoWrap(),
            [.. perplexity.Lengths.Select(length => Numbers.Tokens(length)), "effective context", $"nats at {sweep.Itself.Price?.Length ?? sweep.NativeLength}"],
            column => column.NoWrap());
        foreach (var cell in sweep.Before)
        {
            table.AddRow(Row(cell));
        }

        foreach (var cutoff in sweep.Cutoffs)
        {
            table.AddEmptyRow();
            table.AddRow([new Text($"fine-tuned at {Numbers.Tokens(cutoff)}", new Style(decoration: Decoration.Underline))]);
            foreach (var cell in sweep.After.Where(cell => cell.Cutoff == cutoff))
            {
                table.AddRow(Row(cell));
            }
        }

        return table;
    }

    private static Table PublishedTable(PublishedSection published)
    {
        var lengths = published.Table.Lengths;
        var table = Table(
            $"{published.Table.Name}: perplexity here, and below it as published", new TableColumn("").NoWrap(),
            lengths.Select((length, column) => published.Lengths[column] is { } here ? $"{Numbers.Tokens(length)}\n{Numbers.Tokens(here)} here" : Numbers.Tokens(length)), column => column.NoWrap());
        foreach (var (row, cell) in published.Rows)
        {
            table.AddRow(
            [
                new Rows(new Text(row.Label), new Text(cell?.Label ?? "not in this sweep", Grey)),
                .. lengths.Select((_, column) => new Rows(
                    new Text(published.Result(cell, column)?.Perplexity is { } perplexity ? Numbers.Perplexity(perplexity) : "-"),
                    new Text($"{row.Perplexities[column]}", Grey))),
            ]);
        }

        return table;
    }

    private static IEnumerable<IRenderable> Row(SweepCell cell)
    {
        yield return new Text(cell.Method);
        foreach (var result in cell.Protocols[0].Lengths)
        {
            // Dim beyond the effective context, where the model is broken.
            var isBeyond = cell.Limit is { Tokens: { } tokens } && result.Length > tokens;
            yield return result.Perplexity is { } perplexity ? new Text(Numbers.Perplexity(perplexity), isBeyond ? Grey : Style.Plain) : new Text("-");
        }

        yield return new Text(Limit(cell.Limit, "{0} ({1})"), new Style(decoration: Decoration.Bold));
        yield return new Text(cell.Price is { } price ? Numbers.Signed(price.Nats) : "-");
    }

    private static Table PasskeyTable(string label, PasskeyResult passkey)
    {
        var lengths = passkey.Cells.Select(cell => cell.Length).Distinct().Order().ToList();
        var table = Table($"passkeys found, {label}", new TableColumn("depth").RightAligned(), lengths.Select(length => Numbers.Tokens(length)), column => column);
        foreach (var row in passkey.Cells.GroupBy(cell => cell.Depth).OrderBy(row => row.Key))
        {
            table.AddRow([
                new Text(Numbers.Percent(row.Key)),
                .. row.OrderBy(cell => cell.Length).Select(cell => new Text($"{cell.Found}/{cell.Trials}", Shade(cell.Accuracy))),
            ]);
        }

        table.AddEmptyRow();
        table.AddRow([new Text("k_max"), .. lengths.Select(length => new Text(Numbers.Count(passkey.LargestDistance(length))))]);
        table.AddRow([new Text("mean rank"), .. lengths.Select(length => new Text(Rank([.. passkey.Cells.Where(cell => cell.Length == length)])))]);
        return table;
    }

    private static Table SummariesTable(Report report)
    {
        var table = Table($"ROUGE F1 x 100, {report.Methods[0].Summarization!.Summaries.Count} documents, {report.Dtype}", new TableColumn("").NoWrap(), Rouge.Names, column => column.NoWrap());
        foreach (var measured in report.Methods)
        {
            table.AddRow(
            [
                new Text(report.LabelOf(measured)),
                .. measured.Summarization!.Means.Select(mean => new Rows(
                    new Text(Intervals.Percent(mean.F1)), new Text(mean.Interval is { } interval ? Intervals.Percent(interval) : "", Grey))),
            ]);
        }

        return table;
    }

    private static Table RulerTable(string label, RulerResult ruler)
    {
        var table = Table($"RULER scores, percent, {label}", new TableColumn("").NoWrap(), ruler.Lengths.Select(length => Numbers.Tokens(length)), column => column);
        foreach (var task in ruler.Tasks)
        {
            table.AddRow([new Text(task), .. ruler.Lengths.Select(length => ruler.At(task, length).Score).Select(score => new Text(Numbers.Score(score.Percent), Shade(score.Percent / 100)))]);
        }

        table.AddEmptyRow();
        table.AddRow([new Text("average"), .. ruler.Lengths.Select(length => new Text(Numbers.Score(ruler.Average(length).Percent)))]);
        table.AddRow([new Text("95% interval", Grey), .. ruler.Lengths.Select(length => new Text(Intervals.Score(ruler.Average(length).Interval), Grey))]);
        return table;
    }

    private static string Rank(IReadOnlyList<PasskeyCell> cells) =>
        FormattableString.Invariant($"{cells.Average(cell => cell.MeanRank):0.0} of {cells.Max(cell => cell.Candidates)}");

    private static Style Shade(double accuracy) => accuracy switch { >= 0.995 => new Style(Color.Green), >= PasskeyResult.LeastAccuracy => new Style(Color.Yellow), _ => Grey };

    private static Table Table(string title, TableColumn first, IEnumerable<string> columns, Func<TableColumn, TableColumn> wrapping)
    {
        var table = new Table().RoundedBorder().Title(new TableTitle(Markup.Escape(title))).AddColumn(first);
        return table.AddColumns([.. columns.Select(column => wrapping(new TableColumn(column).RightAligned()))]);
    }

    private static string Limit(EffectiveContextLimit? limit, string withInterval) => limit switch
    {
        null => "-",
        { Tokens: null } or { Interval: null } => $"{limit}",
        _ => string.Format(System.Globalization.CultureInfo.InvariantCulture, withInterval, limit, limit.IntervalText),
    };
}
