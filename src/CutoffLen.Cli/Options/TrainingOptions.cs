using System.CommandLine;
using CutoffLen.Common;
using CutoffLen.Configuration;
using Serilog;

namespace CutoffLen.Cli.Options;

/// <summary>The options that describe a training run, shared by the verbs that make and plan one: keys of the configuration.</summary>
internal static class TrainingOptions
{
    // A file may say these instead.
    private static readonly (Option Option, string Key)[] Keys =
    [
        (Key("--model", "model", "DIR", "-m"), "model"),
        (Key("--cutoff", "cutoff_len", "N"), "cutoff_len"),
        (CommonOptions.Rope, "rope"),
        (Key("--positions", "positions", "SPEC"), "positions"),
        (Key("--out", "output_dir", "DIR", "-o"), "output_dir"),
        (Key("--method", "method", "METHOD"), "method"),
        (Key("--steps", "max_steps", "N"), "max_steps"),
        (Key("--context-parallel", "context_parallel_size", "P"), "context_parallel_size"),
        (CommonOptions.Device, "device"),
        (CommonOptions.Dtype, "dtype"),
        (CommonOptions.Attention, "attention"),
        (CommonOptions.Threads, "threads"),
        (CommonOptions.Seed, "seed"),
    ];

    private static readonly Option<string[]> Data = new("--data")
    {
        Description = CommonOptions.KeyOf("data").Description,
        HelpName = "PATH",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<string?> Config = Text("--config", "YAML file with any of the keys; options go over it.", "FILE");

    /// <summary>Any key of the configuration.</summary>
    public static Option<string[]> Sets { get; } = new("--set")
    {
        Description = "Set a key of the configuration, over file and options.",
        HelpName = "KEY=VALUE",
        AllowMultipleArgumentsPerToken = true,
    };

    /// <summary>Gives a command all of them.</summary>
    public static Command WithTrainingOptions(this Command command)
    {
        foreach (var option in (IEnumerable<Option>)[Data, Config, Sets, .. Keys.Select(key => key.Option)])
        {
            command.Add(option);
        }

        return command;
    }

    /// <summary>The configuration that they say.</summary>
    /// <exception cref="UserException">Everything that is wrong, a line each.</exception>
    public static RunConfig ResolveTraining(this ParseResult parsed)
    {
        var resolved = RunConfigReader.Resolve(parsed.GetValue(Config), Given(parsed), parsed.GetValue(Sets));
        LogNotes(resolved);
        return resolved.Config;
    }

    /// <summary>Tells the user which other names were read as keys.</summary>
    public static void LogNotes(ResolvedConfig resolved)
    {
        foreach (var note in resolved.Notes)
        {
            Log.Information("{Note:l}", note);
        }
    }

    /// <summary>An optional text.</summary>
    public static Option<string?> Text(string name, string description, string helpName, params string[] aliases) =>
        new(name, aliases) { Description = description, HelpName = helpName };

    private static Option<string?> Key(string name, string key, string helpName, params string[] aliases) =>
        Text(name, CommonOptions.KeyOf(key).Description, helpName, aliases);

    private static IEnumerable<ConfigOption> Given(ParseResult parsed)
    {
        foreach (var (option, key) in Keys)
        {
            if (parsed.GetResult(option) is { Implicit: false, Tokens: [.., var given] })
            {
                yield return new ConfigOption(option.Name, key, given.Value);
            }
        }

        if (parsed.GetValue(Data) is { Length: > 0 } paths)
        {
            yield return paths.FirstOrDefault(path => path.Contains(',')) is { } comma
                ? throw new UserException($"--data {comma}: paths with a comma can only be given in a file, by --config")
                : new ConfigOption(Data.Name, "data", string.Join(',', paths));
        }
    }
}
