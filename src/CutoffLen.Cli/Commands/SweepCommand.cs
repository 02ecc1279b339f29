using System.CommandLine;
using System.Diagnostics;
using CutoffLen.Configuration;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Reports;
using CutoffLen.Runs;
using Serilog;
using Spectre.Console;

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
        .Runs((parsed, stop) =>
        {
            IEnumerable<ConfigOption> given = parsed.GetValue(Out) is { } folder ? [new(Out.Name, "output_dir", folder)] : [];
            Run(
                RunConfigReader.Resolve(parsed.GetValue(Config), given, parsed.GetValue(TrainingOptions.Sets)), parsed.GetValue(EvaluationOptions.BatchTokens),
                parsed.GetValue(CommonOptions.Json), stop);
        });

    /// <summary>Runs a sweep and shows what it found.</summary>
    /// <param name="resolved">Its configuration.</param>
    /// <param name="batchTokens">The most tokens that one batch of a measurement reads.</param>
    /// <param name="json">Whether to print JSON.</param>
    /// <param name="stop">Ctrl-C.</param>
    public static void Run(ResolvedConfig resolved, int batchTokens, bool json, CancellationToken stop)
    {
        TrainingOptions.LogNotes(resolved);
        var config = ForSweep(resolved);
        try
        {
            var started = Stopwatch.StartNew();
            using var sweep = new SweepRun(config, batchTokens, new RunDisplay(), stop);
            var cells = sweep.Run(made => ReportFiles.Write(Report(config, sweep, made, started), config.Training.OutputDir!));
            var report = Report(config, sweep, cells, started);
            ReportFiles.Write(report, config.Training.OutputDir!);
            Show(report, config.Training.OutputDir!, json);
        }
        catch (OperationCanceledException)
        {
            Log.Warning("stopped; what is finished is kept in {Folder:l}: start it again to go on", config.Training.OutputDir);
            throw;
        }
    }

    private static RunConfig ForSweep(ResolvedConfig resolved)
    {
        var config = resolved.Config;
        // A sweep measures on everything it is given, unless it is told otherwise.
        return resolved.Given.Contains("max_eval_documents") ? config : config with { Evaluation = config.Evaluation with { MaxEvalDocuments = null } };
    }

    private static SweepReport Report(RunConfig config, SweepRun sweep, IReadOnlyList<ScoredCell> scored, Stopwatch started)
    {
        var architecture = sweep.Model.Config;
        var cells = SweepReporting.Cells(sweep.Name, architecture, scored, config.Evaluation.Delta);
        var planned = sweep.Grid.Before.Count + sweep.Grid.After.Count;
        return new SweepReport(
            DateTimeOffset.Now, $"cutoff {CutoffVersion.Text}", sweep.Name, architecture.NativeLength, sweep.Compute.DtypeName, Settings(config, sweep, started),
            PerplexityReporting.Note(sweep.Protocol, SpecialTokens.Of(sweep.Model.Tokenizer)), sweep.Lengths, Corpus.Of(sweep.Texts), cells, planned,
            SweepReporting.Slopes(cells), [.. SweepReporting.Notes(cells, planned, sweep.Texts)]);
    }

    private static IReadOnlyList<Setting> Settings(RunConfig config, SweepRun sweep, Stopwatch started) =>
    [
        new("model", config.Model.Model!),
        new("trained on", string.Join(", ", config.Data.Data)),
        new("seed", $"{config.Training.Seed}, the same data in the same order for every method"),
        new("configuration", $"{RunFolder.ConfigFile} beside this page"),
        new("device", sweep.Compute.DeviceName),
        new("threads", $"{TorchSharp.torch.get_num_threads()}"),
        new("bootstrap", "2000 draws, 95% percentile intervals"),
        new("time", Progress.Format(started.Elapsed)),
    ];

    private static void Show(SweepReport report, string folder, bool json)
    {
        if (json)
        {
            Terminal.PrintJson(SweepJson.Of(report));
            return;
        }

        foreach (var part in SweepConsole.Of(report))
        {
            Terminal.Out.Write(part);
            Terminal.Out.WriteLine();
        }

        Terminal.Out.WriteLine($"written: {Path.Combine(folder, "report.html")}, sweep.csv, sweep.json");
    }
}
