using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Distributed;
using CutoffLen.Hardware;
using CutoffLen.Runs;
using Serilog;

namespace CutoffLen.Cli.Options;

/// <summary>
/// Options that mean the same in every verb, one instance each: <c>new Command("score", "...") { CommonOptions.Rope }</c>, then
/// <c>parsed.GetValue(CommonOptions.Rope)</c>. Those that are keys of the configuration have its description and default.
/// </summary>
internal static class CommonOptions
{
    /// <summary>A folder with a checkpoint in Hugging Face layout, or a name on the hub; required where taken.</summary>
    public static Option<string> Model { get; } = new("--model", "-m") { Description = KeyOf("model").Description, HelpName = "DIR", Required = true };

    /// <summary>A position method in the spec grammar; <c>auto</c> reads the checkpoint's own.</summary>
    public static Option<string> Rope { get; } = Key("--rope", "rope", "SPEC");

    /// <summary><c>auto</c>, <c>cpu</c>, <c>cuda</c> or <c>cuda:N</c>.</summary>
    public static Option<string> Device { get; } = Key("--device", "device", "DEVICE", "auto", "cpu", "cuda");

    /// <summary><c>auto</c>, <c>fp32</c> or <c>bf16</c>.</summary>
    public static Option<string> Dtype { get; } = Key("--dtype", "dtype", "DTYPE", "auto", "fp32", "bf16");

    /// <summary><c>auto</c>, <c>sdpa</c> or <c>blocked</c>.</summary>
    public static Option<string> Attention { get; } = Word("--attention", KeyOf("attention").Description, "PATH", "auto", "sdpa", "blocked");

    /// <summary>CPU threads of one operation; 0 is one a core, or what OMP_NUM_THREADS says.</summary>
    public static Option<int> Threads { get; } = Whole("--threads", KeyOf("threads").Description, 0, CpuThreads.Most, Default<int>("threads"));

    /// <summary>Seed of every random draw.</summary>
    public static Option<int> Seed { get; } = Whole("--seed", KeyOf("seed").Description, 0, int.MaxValue, Default<int>("seed"));

    /// <summary>The result as one JSON value on stdout, nothing else there.</summary>
    public static Option<bool> Json { get; } = Flag("Print the result as JSON.", "--json");

    /// <summary>Debug messages too; on every verb.</summary>
    public static Option<bool> Verbose { get; } = Global(Flag("Log more.", "--verbose", "-v"));

    /// <summary>Only warnings and errors; on every verb.</summary>
    public static Option<bool> Quiet { get; } = Global(Flag("Log warnings and errors only.", "--quiet", "-q"));

    /// <summary>
    /// Gives a command its body: the parsed options and a token that Ctrl-C cancels. It runs on the main thread without awaits,
    /// since dispose scopes of tensors belong to a thread. An interrupted run saves what must not be lost and throws
    /// <see cref="OperationCanceledException"/>. Of several ranks the first alone runs it.
    /// </summary>
    public static Command Runs(this Command command, Action<ParseResult, CancellationToken> body) =>
        command.RunsOnEveryRank((parsed, interrupted) => parsed.Ranks().OnFirst(() => body(parsed, interrupted)));

    /// <summary>The same for a body that every rank runs, and that shares its work with the others.</summary>
    public static Command RunsOnEveryRank(this Command command, Action<ParseResult, CancellationToken> body)
    {
        command.SetAction((parsed, interrupted) =>
        {
            Logging.Start(parsed.Terminal(), parsed.GetValue(Verbose), parsed.GetValue(Quiet));
            if (parsed.Terminal().World is { MpiVersion: { } mpi } world)
            {
                Log.Information("{Ranks} ranks on {Hosts:l} ({Mpi:l})", world.Ranks.Size, string.Join(", ", world.Hosts.Distinct()), mpi);
            }

            body(parsed, interrupted);
            return Task.FromResult((int)ExitCodes.Done);
        });
        return command;
    }

    /// <summary>Prints a result: as JSON under --json, else as names and values.</summary>
    public static void Print<T>(this ParseResult parsed, T result, Func<T, IReadOnlyList<(string Name, string Value)>> fields)
    {
        if (parsed.GetValue(Json))
        {
            parsed.Terminal().PrintJson(result);
        }
        else
        {
            parsed.Terminal().PrintFields(fields(result));
        }
    }

    /// <summary>The command line, for reports.</summary>
    public static string Line(this ParseResult parsed) => $"cutoff {string.Join(' ', parsed.Tokens.Select(token => token.Value))}";

    /// <summary>
    /// The device and dtype of a command that takes <see cref="Device"/>, <see cref="Dtype"/> and <see cref="Threads"/>;
    /// loads libtorch and sets its threads.
    /// </summary>
    /// <exception cref="UserException">See <see cref="DeviceAndDtype.Choose(string, string)"/>.</exception>
    public static DeviceAndDtype GetCompute(this ParseResult parsed)
    {
        var compute = DeviceAndDtype.Choose(parsed.GetValue(Device)!, parsed.GetValue(Dtype)!);
        CpuThreads.Use(parsed.GetValue(Threads));
        return compute;
    }

    /// <summary>Finds models and data that are named as on the hub, and shows downloads.</summary>
    public static HubFiles Hub(this ParseResult parsed, CancellationToken stop) => new(display: new RunDisplay(parsed.Terminal()), stop: stop);

    /// <summary>The model that <see cref="Model"/> names, where the options say.</summary>
    public static ModelSession OpenModel(this ParseResult parsed, CancellationToken stop) => ModelSession.Open(
        parsed.Hub(stop).Model(parsed.GetValue(Model)!), parsed.GetCompute, parsed.AttentionPath());

    /// <summary>What <see cref="Attention"/> says; <c>auto</c> in verbs that do not take it.</summary>
    public static string AttentionPath(this ParseResult parsed) => parsed.GetResult(Attention) is null ? "auto" : parsed.GetValue(Attention)!;

    /// <summary>A key of the configuration.</summary>
    public static ConfigKey KeyOf(string name) => ConfigKeys.Find(name)!;

    /// <summary>An option without a value, so that completion goes on with the next word.</summary>
    public static Option<bool> Flag(string description, string name, params string[] aliases) =>
        new(name, aliases) { Description = description, Arity = ArgumentArity.Zero };

    /// <summary>A whole number from <paramref name="least"/> to <paramref name="most"/>.</summary>
    public static Option<int> Whole(string name, string description, int least, int most, int standard) =>
        Parsed(name, description, "N", standard, text =>
            int.TryParse(text, out var number) && number >= least && number <= most
                ? number
                : throw new UserException(most == int.MaxValue
                    ? $"'{text}' is not a whole number of at least {least}"
                    : $"'{text}' is not a whole number from {least} to {most}"));

    /// <summary>A number from <paramref name="least"/> to <paramref name="most"/>.</summary>
    public static Option<double> Number(string name, string description, string helpName, double least, double most, double standard) =>
        Parsed(name, description, helpName, standard, text => NumberIn(text, least, most));

    /// <summary>The number that a text means.</summary>
    /// <exception cref="UserException">It means none, or one out of range.</exception>
    public static double NumberIn(string text, double least, double most) =>
        double.TryParse(text, out var number) && number >= least && number <= most ? number : throw new UserException($"'{text}' is not a number from {least} to {most}");

    /// <summary>One of a few words, the first where it is not given.</summary>
    public static Option<string> Word(string name, string description, string helpName, params string[] words)
    {
        var option = Parsed(name, description, helpName, words[0], text => words.Contains(text.ToLowerInvariant())
            ? text.ToLowerInvariant()
            : throw new UserException($"'{text}' is not one of {string.Join(", ", words)}"));
        option.CompletionSources.Add(words);
        return option;
    }

    /// <summary>An optional option read by <paramref name="parse"/>, whose UserException becomes the parse error.</summary>
    public static Option<T> Parsed<T>(string name, string description, string helpName, T standard, Func<string, T> parse)
    {
        var option = Parsed(name, description, helpName, parse);
        option.DefaultValueFactory = _ => standard;
        return option;
    }

    /// <summary>An option without default read by <paramref name="parse"/>, whose UserException becomes the parse error.</summary>
    public static Option<T> Parsed<T>(string name, string description, string helpName, Func<string, T> parse) => new(name)
    {
        Description = description,
        HelpName = helpName,
        Arity = ArgumentArity.ExactlyOne,
        CustomParser = result =>
        {
            try
            {
                return parse(result.Tokens[0].Value);
            }
            catch (UserException problem)
            {
                result.AddError($"{name}: {problem.Message}");
                return default;
            }
        },
    };

    private static Option<string> Key(string name, string key, string helpName, params string[] completions)
    {
        var option = new Option<string>(name)
        {
            Description = KeyOf(key).Description,
            HelpName = helpName,
            DefaultValueFactory = _ => Default<string>(key),
        };
        option.CompletionSources.Add(completions);
        return option;
    }

    private static T Default<T>(string key) => (T)KeyOf(key).Get(new RunConfig())!;

    private static Option<bool> Global(Option<bool> option)
    {
        option.Recursive = true;
        return option;
    }
}
