using System.Diagnostics;
using CutoffLen.Runs;
using Serilog;
using Spectre.Console;

namespace CutoffLen.Cli.Interaction;

/// <summary>What runs show: a bar with the time left on a terminal, a line now and then elsewhere, nothing under --quiet; and run.log in the folder.</summary>
internal sealed class RunDisplay(Terminal terminal) : IRunDisplay
{
    private static readonly TimeSpan LineInterval = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public void Enter(string folder) => Logging.AddRunFolder(folder);

    /// <inheritdoc/>
    public void Leave() => Logging.LeaveRunFolder();

    /// <inheritdoc/>
    public T Show<T>(string title, double total, Func<IProgress<ProgressStep>, T> work)
    {
        if (!Logging.ShowsProgress || !terminal.IsWatched)
        {
            return work(new Lines(title, total, LineInterval));
        }

        var bar = terminal.ErrorConsole.Progress()
            .Columns(new TaskDescriptionColumn { Alignment = Justify.Left }, new ProgressBarColumn(), new PercentageColumn(), new RemainingTimeColumn());
        return bar.Start(context => work(new Bar(context.AddTask(Markup.Escape(title), maxValue: total), title)));
    }

    /// <summary>A time as people say it: 42s, 3m05s, 2h10m.</summary>
    public static string Format(TimeSpan time) => time switch
    {
        { TotalSeconds: < 60 } => $"{time.TotalSeconds:0}s",
        { TotalMinutes: < 60 } => $"{time.Minutes}m{time.Seconds:00}s",
        _ => $"{(int)time.TotalHours}h{time.Minutes:00}m",
    };

    private sealed class Bar(ProgressTask task, string title) : IProgress<ProgressStep>
    {
        public void Report(ProgressStep value)
        {
            task.Value = value.Done;
            task.Description = Markup.Escape($"{title} {value.Note}".TrimEnd());
        }
    }

    /// <summary>Plain lines through the log, not more often than an interval, the last step always.</summary>
    internal sealed class Lines(string title, double total, TimeSpan interval) : IProgress<ProgressStep>
    {
        private readonly Stopwatch watch = Stopwatch.StartNew();
        private TimeSpan last;

        public void Report(ProgressStep value)
        {
            var elapsed = watch.Elapsed;
            if (elapsed - last < interval && value.Done < total)
            {
                return;
            }

            last = elapsed;
            var share = total > 0 ? value.Done / total : 1;
            var left = value.Done < total && share > 0 ? $"{Format(elapsed * ((1 - share) / share))} left" : $"took {Format(elapsed)}";
            var parts = new[] { $"{title} {value.Done:0.##}/{total:0.##} ({share:P0})", value.Note, left };
            Log.Information("{Progress:l}", string.Join(", ", parts.Where(part => part.Length > 0)));
        }
    }
}
