using System.CommandLine;
using System.Diagnostics;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Configuration;
using CutoffLen.Reports;
using CutoffLen.Runs;
using Serilog;
using Spectre.Console;

namespace CutoffLen.Cli.Commands;

/// <summary>A sweep from its configuration to what is printed, for <c>cutoff sweep</c> and <c>cutoff demo</c>.</summary>
internal static class ConfiguredSweep
{
    /// <summary>Runs a sweep and shows what it found.</summary>
    /// <param name="parsed">With --json, or without.</param>
    /// <param name="resolved">Its configuration.</param>
    /// <param name="batchTokens">The most tokens that one batch of a measurement reads.</param>
    /// <param name="stop">Ctrl-C.</param>
    public static void Run(ParseResult parsed, ResolvedConfig resolved, int batchTokens, CancellationToken stop)
    {
        TrainingOptions.LogNotes(resolved);
        var config = ForSweep(resolved);
        try
        {
            var started = Stopwatch.StartNew();
            using var sweep = new SweepRun(config, batchTokens, new RunDisplay(parsed.Terminal()), stop);
            var cells = sweep.Run(made => ReportFiles.Write(Report(config, sweep, made, started), config.Training.OutputDir!));
            var report = Report(config, sweep, cells, started);
            ReportFiles.Write(report, config.Training.OutputDir!);
            Show(report, config.Training.OutputDir!, parsed);
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
            DateTimeOffset.Now, $"cutoff {Failure.Version}", sweep.Name, architecture.NativeLength, sweep.Compute.DtypeName, Settings(config, sweep, started),
            PerplexityReporting.Note(sweep.Protocol, sweep.Model.Tokenizer.SpecialTokens), sweep.Lengths, Corpus.Of(sweep.Texts), cells, planned,
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
        new("time", RunDisplay.Format(started.Elapsed)),
    ];

    private static void Show(SweepReport report, string folder, ParseResult parsed)
    {
        var terminal = parsed.Terminal();
        if (parsed.GetValue(CommonOptions.Json))
        {
            terminal.PrintJson(SweepJson.Of(report));
            return;
        }

        foreach (var part in SweepConsole.Of(report))
        {
            terminal.Print(part, Text.NewLine);
        }

        terminal.Output.WriteLine($"written: {Path.Combine(folder, "report.html")}, sweep.csv, sweep.json");
    }
}
