using System.Globalization;
using CutoffLen.Cli.Interaction;
using CutoffLen.Runs;
using Serilog;
using Serilog.Core;
using Serilog.Events;

namespace CutoffLen.Cli.Tests.Interaction;

public sealed class LoggingTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("cutoff-log").FullName;

    public void Dispose()
    {
        Log.CloseAndFlush();
        Directory.Delete(folder, recursive: true);
    }

    [Fact]
    public void A_run_folder_gets_everything_with_its_time_whatever_quiet_says()
    {
        Logging.Start(new Terminal(TextWriter.Null, TextWriter.Null), verbose: false, quiet: true);
        Logging.AddRunFolder(folder);
        Log.Debug("attention path {Path}", "blocked");
        Logging.Stop();
        Assert.Matches(@"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} \S+ DBG attention path blocked\n$", File.ReadAllText(Path.Combine(folder, "run.log")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Quiet_leaves_out_progress_also_while_a_run_is_logged(bool quiet)
    {
        Logging.Start(new Terminal(TextWriter.Null, TextWriter.Null), verbose: false, quiet);
        Logging.AddRunFolder(folder);
        Assert.Equal(!quiet, Logging.ShowsProgress);
    }

    [Fact]
    public void A_resumed_run_appends()
    {
        Logging.Start(new Terminal(TextWriter.Null, TextWriter.Null), verbose: false, quiet: true);
        foreach (var message in new[] { "first", "second" })
        {
            Logging.AddRunFolder(folder);
            Log.Information(message);
        }

        Logging.Stop();
        Assert.Equal(2, File.ReadAllLines(Path.Combine(folder, "run.log")).Length);
    }

    [Fact]
    public void Progress_without_a_terminal_is_a_line_an_interval_and_one_at_the_end()
    {
        var sink = new Collector();
        Log.Logger = new LoggerConfiguration().WriteTo.Sink(sink).CreateLogger();
        var lines = new RunDisplay.Lines("finetune", total: 100, TimeSpan.FromHours(1));
        lines.Report(new ProgressStep(1, "loss 2.5"));
        lines.Report(new ProgressStep(100, "loss 2.1"));
        Assert.Matches(@"^finetune 100/100 \(100 ?%\), loss 2\.1, took \d+s$", Assert.Single(sink.Messages));

        var eager = new RunDisplay.Lines("eval", total: 4, TimeSpan.Zero);
        eager.Report(new ProgressStep(1));
        Assert.Matches(@"^eval 1/4 \(25 ?%\), \d+s left$", sink.Messages[1]);
    }

    [Theory]
    [InlineData(42, "42s")]
    [InlineData(185, "3m05s")]
    [InlineData(7800, "2h10m")]
    [InlineData(90000, "25h00m")]
    public void Times_read_as_people_say_them(int seconds, string expected) =>
        Assert.Equal(expected, RunDisplay.Format(TimeSpan.FromSeconds(seconds)));

    private sealed class Collector : ILogEventSink
    {
        public List<string> Messages { get; } = [];

        public void Emit(LogEvent logEvent) => Messages.Add(logEvent.RenderMessage(CultureInfo.InvariantCulture));
    }
}
