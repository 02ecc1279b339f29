using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Files;
using CutoffLen.Reports;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff runs</c>: fine-tuning runs side by side.</summary>
internal static class RunsCommand
{
    private static readonly Argument<string[]> Folders = new("DIR")
    {
        Description = "Folders of runs, finished or not, or folders with such folders in them.",
        Arity = ArgumentArity.OneOrMore,
    };

    private static readonly Option<string?> Out = new("--out", "-o") { Description = "Write the curves and tables as one HTML page.", HelpName = "FILE" };

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("runs", "Compare fine-tuning runs: losses, perplexity during training, settings that differ.") { Folders, Out, CommonOptions.Json }
        .Runs((parsed, _) =>
        {
            var report = new RunsReport(DateTimeOffset.Now, $"cutoff {Failure.Version}", LoggedRun.In(parsed.GetValue(Folders)!));
            var terminal = parsed.Terminal();
            if (parsed.GetValue(CommonOptions.Json))
            {
                terminal.PrintJson(report.ToJson());
            }
            else
            {
                terminal.Print(report.ToTable());
            }

            if (parsed.GetValue(Out) is { } file)
            {
                AtomicFile.WriteText(file, report.ToPage());
                terminal.Error.WriteLine($"written: {file}");
            }
        });
}
