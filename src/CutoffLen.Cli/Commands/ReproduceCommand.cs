using System.CommandLine;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Evaluation;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff reproduce</c>: the sweep of a published table, and how far its orders, rises and falls hold here.</summary>
internal static class ReproduceCommand
{
    private static readonly Argument<string> TableName = new("TABLE")
    {
        Description = $"The published table: {string.Join(", ", PublishedTables.All.Select(table => table.Name))}.",
    };

    private static readonly Option<string?> Config = new("--config", "-c")
    {
        Description = "YAML file of the sweep; where not given configs/reproduce/TABLE.yaml, with the demo's model, from the repository's folder.",
        HelpName = "FILE",
    };

    private static readonly Option<string?> Out = new("--out", "-o")
    {
        Description = "Folder of the sweep, runs/TABLE where not given; what is finished in it is not made again.",
        HelpName = "DIR",
    };

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("reproduce", "Repeat a published table of perplexities on a model of yours, and compare orders, rises and falls.")
        {
            TableName, Config, Out, TrainingOptions.Sets, EvaluationOptions.BatchTokens, CommonOptions.Json,
        }
        .RunsOnEveryRank((parsed, stop) =>
        {
            var table = PublishedTables.Parse(parsed.GetValue(TableName)!);
            var file = parsed.GetValue(Config) ?? Path.Combine("configs", "reproduce", $"{table.Name}.yaml");
            if (parsed.GetValue(Config) is null && !File.Exists(file))
            {
                throw new UserException($"{file} is not in this folder: start cutoff from the repository's folder, or give --config");
            }

            ConfigOption output = new(Out.Name, "output_dir", parsed.GetValue(Out) ?? Path.Combine("runs", table.Name));
            ConfiguredSweep.Run(
                parsed, RunConfigReader.Resolve(file, [output], parsed.GetValue(TrainingOptions.Sets)), parsed.GetValue(EvaluationOptions.BatchTokens), stop, table);
        });
}
