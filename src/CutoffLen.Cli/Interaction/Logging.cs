using System.Globalization;
using CutoffLen.Common;
using CutoffLen.Distributed;
using Serilog;
using Serilog.Core;
using Serilog.Events;
using Serilog.Formatting.Display;
using Spectre.Console;

namespace CutoffLen.Cli.Interaction;

/// <summary>Serilog's set-up: messages for people on stderr; in a run's folder everything, with its time. One invocation at a time.</summary>
internal static class Logging
{
    private const string FileTemplate = "{Timestamp:yyyy-MM-dd HH:mm:ss.fff zzz} {Level:u3} {Message:lj}{NewLine}{Exception}";

    private static Terminal terminal = new(World.Alone);
    private static LogEventLevel level = LogEventLevel.Information;

    /// <summary>Whether the terminal shows what goes on, not only warnings and errors; run.log gets it anyway.</summary>
    public static bool ShowsProgress => level <= LogEventLevel.Information;

    /// <summary>Logs to a terminal's stderr from now on.</summary>
    /// <exception cref="UserException">Both more and less were asked for.</exception>
    public static void Start(Terminal to, bool verbose, bool quiet)
    {
        terminal = to;
        level = (verbose, quiet) switch
        {
            (true, true) => throw new UserException("--verbose and --quiet exclude each other; give one"),
            (true, false) => LogEventLevel.Debug,
            (false, true) => LogEventLevel.Warning,
            _ => LogEventLevel.Information,
        };
        Log.Logger = ToTerminal().CreateLogger();
    }

    /// <summary>Also appends everything, whatever --quiet says, to run.log in a run's folder.</summary>
    public static void AddRunFolder(string folder)
    {
        Log.CloseAndFlush();
        Log.Logger = ToTerminal()
            .WriteTo.File(
                Path.Combine(folder, "run.log"), LogEventLevel.Debug, FileTemplate, CultureInfo.InvariantCulture, flushToDiskInterval: TimeSpan.FromSeconds(1))
            .CreateLogger();
    }

    /// <summary>Logs to the terminal alone again.</summary>
    public static void LeaveRunFolder()
    {
        Log.CloseAndFlush();
        Log.Logger = ToTerminal().CreateLogger();
    }

    /// <summary>Writes what is still buffered.</summary>
    public static void Stop() => Log.CloseAndFlush();

    private static LoggerConfiguration ToTerminal() => new LoggerConfiguration().MinimumLevel.Debug()
        .WriteTo.Sink(terminal.IsWatched ? new WatchedSink(terminal.ErrorConsole) : new PlainSink(terminal.Error), level);

    /// <summary>Writes through the console that also draws progress bars, so that a message lands above the bar.</summary>
    private sealed class WatchedSink(IAnsiConsole console) : ILogEventSink
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
            console.WriteLine(logEvent.RenderMessage(CultureInfo.InvariantCulture), style);
            if (logEvent.Exception is { } exception)
            {
                console.WriteLine(exception.ToString(), style);
            }
        }
    }

    private sealed class PlainSink(TextWriter writer) : ILogEventSink
    {
        private static readonly MessageTemplateTextFormatter Formatter = new("{Level:u3} {Message:lj}{NewLine}{Exception}", CultureInfo.InvariantCulture);

        public void Emit(LogEvent logEvent)
        {
            lock (writer)
            {
                Formatter.Format(logEvent, writer);
            }
        }
    }
}
