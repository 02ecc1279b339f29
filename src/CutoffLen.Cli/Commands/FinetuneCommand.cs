using System.CommandLine;
using CutoffLen.Configuration;
using Serilog;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff finetune</c>: trains a checkpoint at a chosen cutoff length.</summary>
internal static class FinetuneCommand
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

    private static readonly Option<string[]> Sets = new("--set")
    {
        Description = "Set a key of the configuration, over file and options.",
        HelpName = "KEY=VALUE",
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<string?> Resume = Text(
        "--resume", "Go on with a run: auto takes the newest checkpoint in --out, if there is one; or a folder checkpoint-N.", "auto|DIR");

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        WithOptions(new Command("finetune", "Fine-tune a checkpoint at a cutoff length: all weights, or low-rank adapters.") { Resume }).Runs((parsed, stop) =>
        {
            var config = Resolve(parsed);
            CheckGiven(config);
            FinetuneRun.Run(config, parsed.GetValue(Resume), stop);
        });

    /// <summary>Adds the options that say what is trained and how.</summary>
    internal static Command WithOptions(Command command)
    {
        foreach (var option in new Option[] { Data, Config, Sets }.Concat(Keys.Select(key => key.Option)))
        {
            command.Add(option);
        }

        return command;
    }

    /// <summary>The configuration that they say.</summary>
    internal static RunConfig Resolve(ParseResult parsed)
    {
        var resolved = RunConfigReader.Resolve(parsed.GetValue(Config), Flags(parsed), parsed.GetValue(Sets));
        foreach (var note in resolved.Notes)
        {
            Log.Information("{Note:l}", note);
        }

        return resolved.Config;
    }

    private static IEnumerable<KeyValuePair<string, string>> Flags(ParseResult parsed)
    {
        foreach (var (option, key) in Keys)
        {
            if (parsed.GetValue(option) is { } text)
            {
                yield return new(key, text);
            }
        }

        if (parsed.GetValue(Data) is { Length: > 0 } paths)
        {
            yield return paths.FirstOrDefault(path => path.Contains(',')) is { } comma
                ? throw new UserException($"--data {comma}: paths with a comma can only be given in a file, by --config")
                : new("data", string.Join(',', paths));
        }
    }

    /// <summary>Checks that it says enough to begin.</summary>
    internal static void CheckGiven(RunConfig config)
    {
        var missing = new List<string>();
        AddIf(config.Model.Model is null, "--model (model): the checkpoint to fine-tune");
        AddIf(config.Data.Data.Count == 0, "--data (data): what to train on");
        AddIf(config.Data.CutoffLen is null, "--cutoff (cutoff_len): tokens of a training sequence");
        AddIf(config.Training.OutputDir is null, "--out (output_dir): the folder of the run");
        if (missing.Count > 0)
        {
            throw new UserException($"finetune needs, as options or keys of --config:\n{string.Join('\n', missing)}");
        }

        void AddIf(bool isMissing, string what)
        {
            if (isMissing)
            {
                missing.Add($"  {what}");
            }
        }
    }

    private static Option<string?> Text(string name, string description, string helpName, params string[] aliases) =>
        new(name, aliases) { Description = description, HelpName = helpName };
}
