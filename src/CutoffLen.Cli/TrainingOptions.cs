using System.CommandLine;
using CutoffLen.Common;
using CutoffLen.Configuration;
using Serilog;

namespace CutoffLen.Cli;

/// <summary>The options that describe a training run, shared by the verbs that make and plan one: keys of the configuration.</summary>
internal static class TrainingOptions
{
    // Options that are keys of the configuration, so that a file may say them instead.
    private static readonly (Option<string?> Option, string Key)[] Keys =
    [
        (Text("--model", "Folder of the checkpoint to fine-tune.", "DIR", "-m"), "model"),
        (Text("--cutoff", "The cutoff length: tokens of a training sequence, 8192 or 8k.", "N"), "cutoff_len"),
        (Text("--rope", "Position method, METHOD[:key=value,...][+MODIFIER[:...]]; see 'cutoff rope list'.", "SPEC"), "rope"),
        (Text("--positions", "Position ids in training: plain, pose, randomized, shape, random-padding, skip-align.", "SPEC"), "positions"),
        (Text("--out", "Folder of the run.", "DIR", "-o"), "output_dir"),
        (Text("--method", "full or lora.", "METHOD"), "method"),
        (Text("--steps", "Optimizer steps; else passes over the data as num_train_epochs says.", "N"), "max_steps"),
        (Text("--device", "Where the model lives: auto, cpu, cuda or cuda:N.", "DEVICE"), "device"),
        (Text("--dtype", "Number format of the model: auto, fp32 or bf16.", "DTYPE"), "dtype"),
        (Text("--attention", "What computes plain causal attention: sdpa (libtorch's), blocked (ours), or auto, the faster one.", "PATH"), "attention"),
        (Text("--threads", "CPU threads; 0: OMP_NUM_THREADS where set, else one a core.", "N"), "threads"),
        (Text("--seed", "Seed of every random draw.", "N"), "seed"),
    ];

    private static readonly Option<string[]> Data = new("--data")
    {
        Description = "Files (.txt, .jsonl), folders or globs to train on.",
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

    private static IEnumerable<ConfigOption> Given(ParseResult parsed)
    {
        foreach (var (option, key) in Keys)
        {
            if (parsed.GetValue(option) is { } text)
            {
                yield return new ConfigOption(option.Name, key, text);
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
