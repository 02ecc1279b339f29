using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using CutoffLen.Distributed;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace CutoffLen.Cli.Interaction;

/// <summary>Where one invocation writes: results to <see cref="InvocationConfiguration.Output"/>, all else to <see cref="InvocationConfiguration.Error"/>.</summary>
internal sealed class Terminal : InvocationConfiguration
{
    // Wide enough that no table is folded in a file or a pipe.
    private const int WidthOfPipe = 1000;

    private readonly Lazy<IAnsiConsole> output;
    private readonly Lazy<IAnsiConsole> error;
    private readonly JsonSerializerOptions json;

    /// <summary>The process's own streams; only rank 0 is heard.</summary>
    public Terminal(World world)
        : this(
            world.Ranks.Rank == 0 ? Console.Out : TextWriter.Null, world.Ranks.Rank == 0 ? Console.Error : TextWriter.Null,
            Console.IsOutputRedirected || World.IsLaunched, Console.IsErrorRedirected || World.IsLaunched)
    {
        World = world;
    }

    /// <summary>Writers that take what a pipe would.</summary>
    public Terminal(TextWriter output, TextWriter error)
        : this(output, error, isOutputRedirected: true, isErrorRedirected: true) { }

    private Terminal(TextWriter output, TextWriter error, bool isOutputRedirected, bool isErrorRedirected)
    {
        (Output, Error) = (output, error);
        // Signals and exceptions are ours: saving a run takes longer than the library's two seconds.
        (EnableDefaultExceptionHandler, ProcessTerminationTimeout) = (false, null);
        this.output = new(() => Create(output, isOutputRedirected));
        this.error = new(() => Create(error, isErrorRedirected));
        IsWatched = !isErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb";
        json = new()
        {
            WriteIndented = !isOutputRedirected,
            PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
            NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        };
    }

    /// <summary>The ranks of the job.</summary>
    public World World { get; } = World.Alone;

    /// <summary>Standard error with colours and bars, for logs and progress.</summary>
    public IAnsiConsole ErrorConsole => error.Value;

    /// <summary>Whether a person watches standard error: bars and colours make sense there.</summary>
    public bool IsWatched { get; }

    /// <summary>
    /// One JSON value on stdout with names in snake_case: one line in a pipe, indented on a terminal. Numbers that JSON lacks are
    /// the strings "NaN", "Infinity" and "-Infinity".
    /// </summary>
    public void PrintJson<T>(T value) => Output.WriteLine(JsonSerializer.Serialize(value, json));

    /// <summary>Names and values on stdout, a line each, values aligned; never folded.</summary>
    public void PrintFields(IReadOnlyList<(string Name, string Value)> fields)
    {
        var width = fields.Max(field => field.Name.Length);
        foreach (var (name, value) in fields)
        {
            Output.WriteLine($"{name.PadRight(width)}  {value}".TrimEnd());
        }
    }

    /// <summary>Tables and other formatted parts on stdout.</summary>
    public void Print(params IEnumerable<IRenderable> parts)
    {
        foreach (var part in parts)
        {
            output.Value.Write(part);
        }
    }

    private static IAnsiConsole Create(TextWriter writer, bool redirected)
    {
        var plain = redirected || !string.IsNullOrEmpty(Environment.GetEnvironmentVariable("NO_COLOR"));
        var console = AnsiConsole.Create(new AnsiConsoleSettings
        {
            Out = new AnsiConsoleOutput(writer),
            Ansi = redirected ? AnsiSupport.No : AnsiSupport.Detect,
            ColorSystem = plain ? ColorSystemSupport.NoColors : ColorSystemSupport.Detect,
            Interactive = redirected ? InteractionSupport.No : InteractionSupport.Detect,
            // Enrichers would turn colours on again in the logs of some CI services.
            Enrichment = new ProfileEnrichment { UseDefaultEnrichers = false },
        });
        if (redirected)
        {
            console.Profile.Width = WidthOfPipe;
        }

        return console;
    }
}

/// <summary>The terminal of a command's invocation.</summary>
internal static class TerminalOfInvocation
{
    /// <summary>The one that the command line was invoked with.</summary>
    public static Terminal Terminal(this ParseResult parsed) => (Terminal)parsed.InvocationConfiguration;

    /// <summary>The ranks that the command runs on.</summary>
    public static ICollectives Ranks(this ParseResult parsed) => parsed.Terminal().World.Ranks;
}
