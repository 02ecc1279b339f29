using System.CommandLine;
using System.Diagnostics;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Configuration;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Reports;
using CutoffLen.Runs;
using Serilog;

namespace CutoffLen.Cli.Commands;

/// <summary>A sweep from its configuration to what is printed, for <c>cutoff sweep</c>, <c>reproduce</c> and <c>demo</c>.</summary>
internal static class ConfiguredSweep
{
    /// <summary>Runs a sweep and shows what it found.</summary>
    /// <param name="parsed">With --json, or without.</param>
    /// <param name="resolved">Its configuration.</param>
    /// <param name="batchTokens">The most tokens that one batch of a measurement reads.</param>
    /// <param name="stop">Ctrl-C.</param>
    /// <param name="table">The published table that it repeats; null for none.</param>
    public static void Run(ParseResult parsed, ResolvedConfig resolved, int batchTokens, CancellationToken stop, PublishedTable? table = null)
    {
        TrainingOptions.LogNotes(resolved);
        var config = ForSweep(resolved);
        try
        {
            var started = Stopwatch.StartNew();
            using var sweep = new SweepRun(parsed.Hub(stop).Localized(config), batchTokens, new RunDisplay(parsed.Terminal()), parsed.Ranks(), stop);
            table?.Require(sweep.Grid, sweep.Model.Config.Positions);
            if (parsed.Ranks().Rank > 0)
            {
                sweep.Run(); // rank 0 makes the report
                return;
            }

            var cells = sweep.Run(made => ReportFiles.Write(Report(config, sweep, made, started, table), config.Training.OutputDir!));
            parsed.Publish(Report(config, sweep, cells, started, table), config.Training.OutputDir!);
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

    private static Report Report(RunConfig config, SweepRun run, IReadOnlyList<ScoredCell> scored, Stopwatch started, PublishedTable? table)
    {
        var sweep = SweepSection.Of(run.Name, run.Model.Config, scored, run.Grid.Before.Count + run.Grid.After.Count, config.Evaluation.Delta);
        return new Report(DateTimeOffset.Now, $"cutoff {Failure.Version}", run.Compute.DtypeName, Settings(config, run, started), sweep.Cells)
        {
            Perplexity = new PerplexitySection(
                [ProtocolNote.Of(run.Protocol, run.Model.Tokenizer.SpecialTokens)], run.Lengths, Corpus.Of(run.Documents), [], [.. sweep.NotesOn(run.Documents)]),
            Sweep = sweep,
            Published = table is null ? null : PublishedSection.Of(table, run.Model.Config, scored, sweep),
        };
    }

    private static IReadOnlyList<Setting> Settings(RunConfig config, SweepRun sweep, Stopwatch started) =>
    [
        new("model", config.Model.Model!),
        new("trained on", string.Join(", ", config.Data.Data)),
        new("seed", $"{config.Training.Seed}, the same data in the same order for every method"),
        new("configuration", $"{RunFolder.ConfigFile} beside this page"),
        new("device", sweep.Compute.DeviceName),
        new("threads", $"{TorchSharp.torch.get_num_threads()}"),
        new("bootstrap", Bootstrap.Description),
        new("time", RunDisplay.Format(started.Elapsed)),
    ];
}
