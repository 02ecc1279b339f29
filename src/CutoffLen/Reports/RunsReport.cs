using System.Globalization;
using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Reports.Charts;
using CutoffLen.Reports.Html;
using CutoffLen.Runs;
using Spectre.Console;

namespace CutoffLen.Reports;

/// <summary>Fine-tuning runs side by side: losses, perplexity of the last measurement, and the settings in which they differ.</summary>
/// <param name="Made">When.</param>
/// <param name="Program">Name and version of this program.</param>
/// <param name="Runs">The runs, in the order of their columns and colours.</param>
public sealed record RunsReport(DateTimeOffset Made, string Program, IReadOnlyList<LoggedRun> Runs)
{
    private const string Missing = "–";
    private readonly IReadOnlyList<string> names = NamesOf(Runs);

    /// <summary>The keys whose values are not the same in all runs, with the values run by run.</summary>
    public IReadOnlyList<(string Key, IReadOnlyList<string> Values)> DifferentSettings =>
    [
        .. Runs[0].Settings.Keys.Select(key => (key, (IReadOnlyList<string>)[.. Runs.Select(run => run.Settings[key])]))
            .Where(setting => setting.Item2.Distinct().Count() > 1),
    ];

    /// <summary>The lengths of the last measurements, ascending.</summary>
    private IReadOnlyList<int> Lengths => [.. Runs.SelectMany(run => run.LastEvaluation?.Lengths ?? []).Select(length => length.Length).Distinct().Order()];

    /// <summary>Name, value run by run: what the tables show.</summary>
    private IReadOnlyList<(string Name, IReadOnlyList<string> Values)> Results =>
    [
        Row("steps", run => run.LastStep is { } last ? $"{last.Step}{(run.IsFinished ? "" : ", not finished")}" : null),
        Row("loss, nats", run => run.LastStep?.Loss is { } loss ? Numbers.Nats(loss) : null),
        Row("tokens/s", run => run.Steps.Count == 0 ? null : Numbers.Count(run.Steps.Select(line => line.TokensPerSecond).Order().ElementAt(run.Steps.Count / 2))),
        .. Lengths.Select(length => Row($"perplexity at {Numbers.Tokens(length)}", run =>
            run.LastEvaluation?.Lengths.FirstOrDefault(found => found.Length == length) is { } at ? Numbers.Perplexity(at.Ppl) : null)),
        .. Lengths.Count == 0 ? [] : new[] { Row("effective context", run => run.LastEvaluation?.EffectiveContext) },
    ];

    /// <summary>The table for the terminal: a column for each run.</summary>
    public Table ToTable()
    {
        var table = new Table().RoundedBorder().AddColumn(new TableColumn("").NoWrap());
        table.AddColumns([.. names.Select(name => new TableColumn(Markup.Escape(name)).RightAligned())]);
        foreach (var (name, values) in Results.Concat(DifferentSettings))
        {
            table.AddRow([name, .. values.Select(Markup.Escape)]);
        }

        return table;
    }

    /// <summary>The value to serialize, names in snake_case.</summary>
    public object ToJson() => new
    {
        Program,
        made = Made.ToString("O"),
        differentSettings = DifferentSettings.Select(setting => setting.Key),
        runs = Runs.Select((run, n) => new { name = names[n], run.Folder, run.IsFinished, settings = new OrderedDictionary<string, string>(run.Settings), run.Steps, run.Evaluations }),
    };

    /// <summary>The page: one file that fetches nothing.</summary>
    public string ToPage()
    {
        var title = $"{Runs.Count} {(Runs.Count == 1 ? "run" : "runs")}";
        var different = DifferentSettings;
        return Page.Document(
            title,
            Page.Plain("header", Page.Element("p", "kicker", Made.ToString("d MMMM yyyy", CultureInfo.InvariantCulture)), Page.Plain("h1", title)),
            Page.Section("Results", null, Table("Losses are the last logged ones, speeds medians of the log's", Results)),
            Chart("Loss", "Loss against steps", "steps", "nats per token", isLinear: true, run =>
                from line in run.Steps where line.Loss is not null
                select new ChartPoint(line.Step, line.Loss!.Value, null, FormattableString.Invariant($"step {line.Step}: {line.Loss:0.000} nats"))),
            Chart("Perplexity after the last step that was measured", "Perplexity against context length", "context length, tokens", "perplexity (log)", isLinear: false, run =>
                from length in run.LastEvaluation?.Lengths ?? []
                select new ChartPoint(length.Length, length.Ppl, null, $"{Numbers.Count(length.Length)} tokens: {Numbers.Perplexity(length.Ppl)}")),
            Page.Section("Settings that differ", different.Count == 0 ? "None: all keys of config.yaml have the same values." : null, different.Count == 0 ? null : Table("By key of config.yaml", different)),
            Page.Plain("footer", $"Made by {Program}."));
    }

    private (string Name, IReadOnlyList<string> Values) Row(string name, Func<LoggedRun, string?> value) => (name, [.. Runs.Select(run => value(run) ?? Missing)]);

    private XElement Table(string caption, IEnumerable<(string Name, IReadOnlyList<string> Values)> rows) => Page.Table(
        caption, ["", .. names.Select(Page.Breakable)], rows.Select(row => (IEnumerable<object>)[row.Name, .. row.Values.Select(Page.Breakable)]));

    /// <summary>A section with a line for each run that has points; null where none has.</summary>
    private XElement? Chart(string heading, string label, string x, string y, bool isLinear, Func<LoggedRun, IEnumerable<ChartPoint>> points)
    {
        var series = Runs.Select((run, n) => new Series(names[n], [.. points(run)]) { Color = n }).Where(line => line.Points.Count > 0).ToList();
        var chart = new LineChart(label, x, y, LogY: !isLinear, Ceiling: 8, series, []) { IsLinearX = isLinear };
        return series.Count == 0 ? null : Page.Section(heading, null, Page.Figure((width, style) => chart.Draw(width, width < 500 ? 330 : 400, style)));
    }

    /// <summary>The folders without the part that all share.</summary>
    private static IReadOnlyList<string> NamesOf(IReadOnlyList<LoggedRun> runs)
    {
        var paths = runs.Select(run => Path.GetFullPath(run.Folder).Split(Path.DirectorySeparatorChar)).ToList();
        var shared = Enumerable.Range(0, paths.Min(path => path.Length) - 1).TakeWhile(n => paths.All(path => path[n] == paths[0][n])).Count();
        return [.. paths.Select(path => string.Join('/', path[shared..]))];
    }
}
