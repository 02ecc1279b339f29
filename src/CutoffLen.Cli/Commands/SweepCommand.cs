using System.CommandLine;
using CutoffLen.Cli.Options;
using CutoffLen.Configuration;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff sweep</c>: position methods and cutoffs, before and after fine-tuning, in one report.</summary>
internal static class SweepCommand
{
    private static readonly Option<string> Config = new("--config", "-c")
    {
        Description = "YAML file with the keys of a run and ropes, cutoffs, lengths, eval_data; see configs/sweep-example.yaml.",
        HelpName = "FILE",
        Required = true,
    };

    private static readonly Option<string?> Out = new("--out", "-o") { Description = "Folder of the sweep; what is finished in it is not made again.", HelpName = "DIR" };

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("sweep", "Fine-tune with several position methods at several cutoffs and measure before and after; writes report.html, sweep.csv and sweep.json.")
        {
            Config, Out, TrainingOptions.Sets, EvaluationOptions.BatchTokens, CommonOptions.Json,
        }
        .RunsOnEveryRank((parsed, stop) =>
        {
            IEnumerable<ConfigOption> given = parsed.GetValue(Out) is { } folder ? [new(Out.Name, "output_dir", folder)] : [];
            var resolved = RunConfigReader.Resolve(parsed.GetValue(Config), given, parsed.GetValue(TrainingOptions.Sets));
            ConfiguredSweep.Run(parsed, resolved, parsed.GetValue(EvaluationOptions.BatchTokens), stop);
        });
}
