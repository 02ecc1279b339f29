using CutoffLen.Common;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Spectre.Console;

namespace CutoffLen.Cli;

/// <summary>Serilog's set-up: messages for people on stderr, and in a run's folder everything with its time.</summary>
internal static class Logging
{
    private const string FileTemplate = "{Timestamp:yyyy-MM-dd HH:mm:ss.fff zzz} {Level:u3} {Message:lj}{NewLine}{Exception}";

    private static LogEventLevel level = LogEventLevel.Information;

    /// <summary>Logs to stderr from now on.</summary>
    /// <exception cref="UserException">Both more and less were asked for.</exception>
    public static void Start(bool verbose, bool quiet)
    {
        level = (verbose, quiet) switch
        {
            (true, true) => throw new UserException("--verbose and --quiet exclude each other; give one"),
            (true, false) => LogEventLevel.Debug,
            (false, true) => LogEventLevel.Warning,
            _ => LogEventLevel.Information,
        };
        Log.Logger = Console().CreateLogger();
    }

    /// <summary>Also writes everything, whatever --quiet says, to run.log in a run's folder, after what is there.</summary>
    public static void AddRunFolder(string folder)
    {
        Log.CloseAndFlush();
        Log.Logger = Console()
            .WriteTo.File(Path.Combine(folder, "run.log"), LogEventLevel.Debug, FileTemplate, flushToDiskInterval: TimeSpan.FromSeconds(1))
            .CreateLogger();
    }

    /// <summary>Writes what is still buffered.</summary>
    public static void Stop() => Log.CloseAndFlush();

    private static LoggerConfiguration Console()
    {
        var configuration = new LoggerConfiguration().MinimumLevel.Debug();
        return Terminal.IsWatched
            ? configuration.WriteTo.Sink(new WatchedSink(), level)
            : configuration.WriteTo.Console(level, "{Level:u3} {Message:lj}{NewLine}{Exception}", standardErrorFromLevel: LogEventLevel.Verbose);
    }

    /// <summary>Writes through the console that also draws progress bars, so that a message lands above the bar.</summary>
    private sealed class WatchedSink : ILogEventSink
    {
        public void Emit(LogEvent logEvent)
        {
            var style = logEvent.Level switch
            {
                >= LogEventLevel.Error => new Style(Color.Red),
                LogEventLevel.Warning => new Style(Color.Yellow),
                LogEventLevel.Debug or LogEventLevel.Verbose => new Style(Color.Grey),
                _ => Style.Plain,
            };
            Terminal.Error.WriteLine(logEvent.RenderMessage(), style);
            if (logEvent.Exception is { } exception)
            {
                Terminal.Error.WriteLine(exception.ToString(), style);
            }
        }
    }
}
