using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Evaluation;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff demo</c>: the sweep of configs/demo, in minutes on a laptop.</summary>
internal static class DemoCommand
{
    private const string Place = "configs/demo";

    private static readonly Option<string> Out = new("--out", "-o")
    {
        Description = "Folder of the results, runs/demo where not given; what is finished in it is not made again.",
        HelpName = "DIR",
        DefaultValueFactory = _ => Path.Combine("runs", "demo"),
    };

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("demo", "See a context limit move: a small model and two novels, before and after fine-tuning; about five minutes on two cores.")
        {
            Out, CommonOptions.Json,
        }
        .RunsOnEveryRank((parsed, stop) =>
        {
            var folder = Find();
            if (!parsed.GetValue(CommonOptions.Json))
            {
                parsed.Terminal().PrintFields(Inspection.Fields(Inspection.Of(Path.Combine(folder, "model"))));
                parsed.Terminal().Output.WriteLine();
            }

            var resolved = RunConfigReader.Resolve(Path.Combine(folder, "demo.yaml"), Paths(folder, parsed.GetValue(Out)!));
            ConfiguredSweep.Run(parsed, resolved, PerplexityEvaluation.StandardBatchTokens, stop);
        });

    /// <summary>The file's own paths hold from the repository's folder; these hold from anywhere.</summary>
    private static IEnumerable<ConfigOption> Paths(string folder, string output) =>
    [
        new("demo", "model", Path.Combine(folder, "model")),
        new("demo", "data", Path.Combine(folder, "northanger-abbey.jsonl")),
        new("demo", "eval_data", Path.Combine(folder, "persuasion.jsonl")),
        new("--out", "output_dir", output),
    ];

    private static string Find()
    {
        foreach (var start in new[] { AppContext.BaseDirectory, Environment.CurrentDirectory })
        {
            for (var above = new DirectoryInfo(start); above is not null; above = above.Parent)
            {
                var folder = Path.Combine(above.FullName, Place);
                if (File.Exists(Path.Combine(folder, "demo.yaml")))
                {
                    return folder;
                }
            }
        }

        throw new UserException($"the demo's model and texts are in {Place} of the repository, and that is neither above the program ({AppContext.BaseDirectory}) nor above this folder; start it from a checkout");
    }
}
