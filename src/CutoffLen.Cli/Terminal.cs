using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Spectre.Console;

namespace CutoffLen.Cli;

/// <summary>Where the program writes for people: results to stdout, everything else to stderr.</summary>
internal static class Terminal
{
    // Wide enough that no table of ours is folded when its reader is a file or a pipe.
    private const int WidthOfPipe = 1000;

    private static readonly Lazy<IAnsiConsole> LazyOut = new(() => Create(Console.Out, Console.IsOutputRedirected));
    private static readonly Lazy<IAnsiConsole> LazyError = new(() => Create(Console.Error, Console.IsErrorRedirected));

    private static readonly JsonSerializerOptions JsonOptions = new()
    {
        WriteIndented = !Console.IsOutputRedirected,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>Standard output: tables and results.</summary>
    public static IAnsiConsole Out => LazyOut.Value;

    /// <summary>Standard error: progress and logs.</summary>
    public static IAnsiConsole Error => LazyError.Value;

    /// <summary>Whether somebody watches standard error, so that bars and colours make sense there.</summary>
    public static bool IsWatched { get; } = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb";

    /// <summary>
    /// One JSON value on stdout, names in snake_case; on one line for programs, indented for a person at a terminal.
    /// Numbers that JSON lacks are the strings "NaN", "Infinity", "-Infinity".
    /// </summary>
    public static void PrintJson<T>(T value) => Console.Out.WriteLine(JsonSerializer.Serialize(value, JsonOptions));

    /// <summary>Names and values on stdout, a line each, values below each other; never folded.</summary>
    public static void PrintFields(IReadOnlyList<(string Name, string Value)> fields)
    {
        var width = fields.Max(field => field.Name.Length);
        foreach (var (name, value) in fields)
        {
            Console.Out.WriteLine($"{name.PadRight(width)}  {value}".TrimEnd());
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
