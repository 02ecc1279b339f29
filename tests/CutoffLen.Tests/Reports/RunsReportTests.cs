using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Reports;
using CutoffLen.Runs;
using Spectre.Console;

namespace CutoffLen.Tests.Reports;

public sealed class RunsReportTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public RunsReportTests()
    {
        Write("sweep/a", "rope: yarn:factor=2\nlearning_rate: 1e-4\ncutoff_len: 64\n", [
            """{"step":1,"epoch":0.1,"loss":3.5,"grad_norm":1,"learning_rate":0.0001,"tokens_per_second":100,"seconds":1,"data":"00"}""",
            """{"step":2,"epoch":0.2,"loss":3.25,"grad_norm":1,"learning_rate":0.0001,"tokens_per_second":300,"seconds":2,"data":"01"}""",
            """{"step":2,"eval":{"protocol":"prefix","lengths":[{"length":64,"documents":2,"tokens":128,"nll":2,"ppl":7.389},{"length":128,"documents":2,"tokens":256,"nll":3,"ppl":20.09}],"effective_context":"96"},"eval_seconds":1}""",
        ]);
        Write("sweep/b", "rope: linear:factor=2\nlearning_rate: 1e-4\ncutoff_len: 64\n", [
            """{"step":1,"epoch":0.1,"loss":null,"grad_norm":1,"learning_rate":0.0001,"tokens_per_second":50,"seconds":1,"data":"00"}""",
            """{"step":2,"epoch":0.2,"loss":2.5,"grad_norm":1,"learning_rate":0.0001,"tokens_per_sec""", // a kill
        ]);
        Directory.CreateDirectory(folder["sweep/a/final"]);
    }

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Settings_that_differ_and_results_stand_side_by_side()
    {
        var report = Report(folder["sweep"]);
        var (key, values) = Assert.Single(report.DifferentSettings);
        Assert.Equal(("rope", "yarn:factor=2", "linear:factor=2"), (key, values[0], values[1]));

        using var text = new StringWriter();
        var console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(text) });
        console.Profile.Width = 100;
        console.Write(report.ToTable());
        var rows = text.ToString().Split('\n').Select(line => line.Split('│', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)).Where(cells => cells.Length > 1).ToDictionary(cells => cells[0], cells => cells[1..]);
        Assert.Equal(["2", "1, not finished"], rows["steps"]);
        Assert.Equal(["3.250", "–"], rows["loss, nats"]);
        Assert.Equal(["300", "50"], rows["tokens/s"]);
        Assert.Equal(["7.389", "–"], rows["perplexity at 64"]);
        Assert.Equal(["96", "–"], rows["effective context"]);
    }

    [Fact]
    public void The_page_has_curves_of_the_runs_that_have_values()
    {
        var page = XDocument.Parse(Report(folder["sweep/a"], folder["sweep/b"]).ToPage());
        var headings = page.Descendants("h2").Select(heading => heading.Value);
        Assert.Equal(["Results", "Loss", "Perplexity after the last step that was measured", "Settings that differ"], headings);
        Assert.Contains(page.Descendants(), element => element.Name.LocalName == "title" && element.Value == "a\nstep 2: 3.250 nats");
        Assert.DoesNotContain(page.Descendants(), element => element.Name.LocalName == "title" && element.Value.StartsWith("b\n", StringComparison.Ordinal));
    }

    [Fact]
    public void One_run_without_values_has_a_page_too()
    {
        var page = XDocument.Parse(Report(folder["sweep/b"]).ToPage());
        Assert.Contains("None", page.Descendants("section").Last().Value, StringComparison.Ordinal);
    }

    [Fact]
    public void Folders_without_runs_are_errors_of_a_line()
    {
        Directory.CreateDirectory(folder["empty"]);
        Assert.Contains("holds no run", Assert.Throws<UserException>(() => Report(folder["empty"])).Message, StringComparison.Ordinal);
        Assert.Contains("no such folder", Assert.Throws<UserException>(() => Report(folder["none"])).Message, StringComparison.Ordinal);
    }

    private static RunsReport Report(params string[] folders) => new(DateTimeOffset.UnixEpoch, "cutoff 1", LoggedRun.In(folders));

    private void Write(string run, string config, string[] lines)
    {
        Directory.CreateDirectory(folder[run]);
        folder.Write($"{run}/config.yaml", config);
        folder.Write($"{run}/log.jsonl", string.Join('\n', lines));
    }
}
