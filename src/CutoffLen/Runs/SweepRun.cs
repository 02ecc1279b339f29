using System.Text.RegularExpressions;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Files;
using CutoffLen.Hardware;
using CutoffLen.Positions.Methods;
using Serilog;

namespace CutoffLen.Runs;

/// <summary>A cell of a grid with its scores.</summary>
/// <param name="Cell">Method and cutoff.</param>
/// <param name="Scores">The scores.</param>
/// <param name="Cost">What fine-tuning it took; null before.</param>
public sealed record ScoredCell(GridCell Cell, ModelScores Scores, TrainingCost? Cost);

/// <summary>What a fine-tuning run took.</summary>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Tokens">Tokens that something was learned from.</param>
/// <param name="Seconds">Of the steps that are in the model; null where the log does not say.</param>
/// <param name="Loss">Of the last line of the log, nats per token.</param>
public sealed record TrainingCost(long Steps, long Tokens, double? Seconds, double? Loss);

/// <summary>
/// A sweep over position methods and cutoffs. A cell is a measurement, kept batch by batch in results.jsonl. A fine-tuned
/// cell also has a run of its own under runs/, resumed from its last checkpoint. Finished work is not redone. Of several
/// ranks each fine-tunes cells of its own, alone, and all measure together: the numbers are those of one rank.
/// </summary>
public sealed partial class SweepRun : IDisposable
{
    private const string Runs = "runs";

    private readonly RunConfig config;
    private readonly string folder;
    private readonly IRunDisplay display;
    private readonly CancellationToken stop;
    private readonly ICollectives ranks;
    private readonly ModelSession model;
    private readonly ResultLog log;
    private readonly PerplexityRun perplexity;
    private FinetunePlan? inputs;

    /// <summary>Opens model and texts; reads no weights yet.</summary>
    /// <param name="config">Model, eval_data, ropes and output_dir must be given, and data when there are cutoffs.</param>
    /// <param name="batchTokens">The most tokens that one batch of a measurement reads.</param>
    /// <param name="display">Shows progress.</param>
    /// <param name="ranks">The ranks that share the work, each of which makes this object; null for one.</param>
    /// <param name="stop">Saves and ends.</param>
    /// <exception cref="UserException">What is wrong with the configuration, the model or the texts.</exception>
    public SweepRun(
        RunConfig config, int batchTokens = PerplexityEvaluation.StandardBatchTokens, IRunDisplay? display = null, ICollectives? ranks = null,
        CancellationToken stop = default)
    {
        Check(config);
        (this.config, this.display, this.stop, this.ranks) = (config, display ?? RunProgress.None, stop, ranks ?? SingleRank.Instance);
        var compute = DeviceAndDtype.Choose(config.Model.Device, config.Model.Dtype);
        CpuThreads.Use(config.Model.Threads);
        model = ModelSession.Open(config.Model.Model!, compute, config.Model.Attention);
        var (evaluation, sweep, architecture) = (config.Evaluation, config.Sweep, Model.Config);
        Documents = EvaluationDocuments.Read(
            evaluation.EvalData, Model.Tokenizer, evaluation.MaxEvalDocuments, cacheFolder: config.Data.CacheDir, textField: config.Data.DatasetTextField,
            completionOnlyLoss: config.Data.CompletionOnlyLoss, cancel: stop);
        // The native length is always measured: what a method costs there is half of the question.
        Lengths = architecture.NativeLength < evaluation.Lengths[^1] ? [.. evaluation.Lengths.Append(architecture.NativeLength).Distinct().Order()] : evaluation.Lengths;
        Protocol = PerplexityProtocols.Parse(evaluation.Protocol, evaluation.Stride);
        Grid = CutoffGrid.Of(
            architecture.PositionConfig, architecture.Positions, sweep.Ropes, sweep.FinetuneRopes, sweep.Cutoffs, config.Data.TargetLen, Lengths[^1]);
        folder = config.Training.OutputDir!;
        this.ranks.OnFirst(() =>
        {
            OutputFolder.Create(folder);
            this.display.Enter(folder);
        });
        log = new ResultLog(Path.Combine(folder, RunFolder.ResultsFile), this.ranks);
        perplexity = new PerplexityRun(
            new PerplexityPlan([Protocol], Lengths, Model.Tokenizer.SpecialTokens), Documents.Documents, log, batchTokens, this.display, stop, this.ranks);
    }

    /// <summary>The model before fine-tuning.</summary>
    public ModelFolder Model => model.Folder;

    /// <summary>Device and dtype.</summary>
    public DeviceAndDtype Compute => model.Compute;

    /// <summary>The documents measured on.</summary>
    public EvaluationDocuments Documents { get; }

    /// <summary>Context lengths in tokens.</summary>
    public IReadOnlyList<int> Lengths { get; }

    /// <summary>How perplexity is measured.</summary>
    public PerplexityProtocol Protocol { get; }

    /// <summary>All cells.</summary>
    public CutoffGrid Grid { get; }

    /// <summary>The model's name in a report: that of its folder, with the one above where that says nothing.</summary>
    public string Name => Model.Name is "model" or "final" or "merged"
        ? $"{Path.GetFileName(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(Model.Folder))))}/{Model.Name}"
        : Model.Name;

    /// <summary>Fine-tunes and measures every cell that is not finished.</summary>
    /// <param name="onCell">Told of all cells so far, when a new one is made and more will follow.</param>
    /// <exception cref="UserException">A run in the folder was started with other settings, or something else is wrong.</exception>
    /// <exception cref="OperationCanceledException">Stopped; all that was done is kept.</exception>
    public IReadOnlyList<ScoredCell> Run(Action<IReadOnlyList<ScoredCell>>? onCell = null)
    {
        // Every run is opened before any work is done: what is wrong with the last one is said now.
        var runs = Grid.After.Select(Open).ToList();
        ranks.OnFirst(() => new RunFolder(folder).Write(RunFolder.ConfigFile, RunConfigWriter.ToYaml(config.WithFullPaths())));
        var count = Grid.Before.Count + runs.Count;
        Log.Information(
            "{Cells} cells: {Before} before fine-tuning, {After} after; {Texts} texts, lengths {Lengths:l}",
            count, Grid.Before.Count, runs.Count, Documents.Documents.Count, string.Join(", ", Lengths));
        var scored = Grid.Before.Select(Before).ToList();
        model.Unload(); // fine-tuning needs the memory
        foreach (var wave in Grid.After.Zip(runs).Chunk(ranks.Size)) // a cell a rank
        {
            Train(wave, scored.Count, count);
            foreach (var (cell, run) in wave)
            {
                var (made, isNew) = After(cell, run);
                scored.Add(made);
                if (isNew && scored.Count < count)
                {
                    onCell?.Invoke(scored);
                }
            }
        }

        return scored;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        inputs?.Dispose();
        model.Dispose();
        log.Dispose();
    }

    private static void Check(RunConfig config)
    {
        RunConfigCheck.Require(
            "sweep",
            (config.Model.Model is null, "model: the checkpoint"),
            (config.Sweep.Ropes.Count == 0, "ropes: the position methods to compare"),
            (config.Evaluation.EvalData.Count == 0, "eval_data: what to measure on"),
            (config.Sweep.Cutoffs.Count > 0 && config.Data.Data.Count == 0, "data: what to fine-tune on"),
            (config.Training.OutputDir is null, "--out (output_dir): the folder of the sweep"));
        if (config.Model.Rope != "auto" || config.Data.CutoffLen is not null)
        {
            throw new UserException("rope and cutoff_len are set for each cell of a sweep; give ropes and cutoffs");
        }

        if (config.Training.ContextParallelSize > 1)
        {
            throw new UserException($"context_parallel_size: {config.Training.ContextParallelSize}: a sweep trains each cell on one rank; leave it out");
        }

        RunConfigCheck.Check(config);
    }

    /// <summary>A cell's run: the sweep's own keys with those of the cell's row, and its cutoff.</summary>
    private RunConfig ConfigOf(GridCell cell) => config with
    {
        Model = config.Model with { Rope = cell.Row.Rope },
        Data = config.Data with { CutoffLen = cell.Cutoff, Positions = cell.Row.Positions ?? config.Data.Positions, TargetLen = cell.Row.TargetLen ?? config.Data.TargetLen },
        Training = config.Training with { OutputDir = Path.Combine(folder, Runs, $"{NotInNames().Replace($"{cell.Row}", "_")}-{cell.Cutoff}") },
        Evaluation = config.Evaluation with { EvalSteps = 0 },
        Sweep = new SweepConfig(),
    };

    private FinetuneRun Open(GridCell cell)
    {
        try
        {
            // All runs have one model and one set of documents.
            var plan = inputs is null ? inputs = FinetunePlan.Open(ConfigOf(cell), stop: stop) : inputs.With(ConfigOf(cell));
            return new FinetuneRun(plan, "auto", display: display);
        }
        catch (UserException problem)
        {
            throw new UserException($"{cell.Row} at cutoff {cell.Cutoff}: {problem.Message}", problem);
        }
    }

    private ScoredCell Before(GridCell cell)
    {
        var positions = Model.Config.SetupFor(cell.Spec, Lengths[^1]);
        var scores = perplexity.Recall(model, positions) ?? perplexity.Measure(Model.Name, model, model.Under(positions));
        return new ScoredCell(cell, scores, null);
    }

    private (ScoredCell Cell, bool IsNew) After(GridCell cell, FinetuneRun run)
    {
        using var tuned = ModelSession.Open(run.Folder.Final, Compute, config.Model.Attention);
        // The checkpoint's own method is the one it was trained with, whatever words its config.json has for it.
        var own = tuned.Folder.Config.SetupFor(PositionMethods.Auto, Lengths[^1]);
        var recalled = perplexity.Recall(tuned, own);
        var scores = recalled ?? perplexity.Measure($"{cell.Row} tuned at {cell.Cutoff}", tuned, tuned.Under(own));
        return (new ScoredCell(cell, scores, CostOf(run.Folder)), recalled is null);
    }

    /// <summary>Each rank fine-tunes its cell of a wave, where it is not finished. Where one is stopped, all stop.</summary>
    private void Train((GridCell Cell, FinetuneRun Run)[] wave, int made, int count)
    {
        var isStopped = false;
        if (ranks.Rank < wave.Length && !wave[ranks.Rank].Run.IsFinished)
        {
            var (cell, run) = wave[ranks.Rank];
            Log.Information("cell {Cell} of {Cells}: fine-tuning with {Rope:l} at {Cutoff} tokens", made + ranks.Rank + 1, count, $"{cell.Row}", cell.Cutoff);
            isStopped = !Train(run);
        }

        if (ranks.Any(isStopped))
        {
            throw new OperationCanceledException(stop);
        }
    }

    /// <summary>Whether it was trained to the end.</summary>
    private bool Train(FinetuneRun run)
    {
        var outcome = run.Run(stop);
        if (ranks.Rank == 0)
        {
            display.Enter(folder);
        }
        else
        {
            display.Leave();
        }

        if (!outcome.Finished)
        {
            Log.Warning("stopped at step {Step} of {Steps}, saved as {Checkpoint:l}", outcome.Step, outcome.TotalSteps, outcome.Folder);
        }

        return outcome.Finished;
    }

    private static TrainingCost CostOf(RunFolder run)
    {
        var ledger = TokenLedger.FromJson(File.ReadAllText(Path.Combine(run.Path, RunFolder.LedgerFile)));
        var logged = run.Logged();
        return new TrainingCost(run.Checkpoints()[^1].Step, ledger.Trained.Targets, logged?.Seconds, logged?.Loss);
    }

    [GeneratedRegex("[^A-Za-z0-9.=+-]")]
    private static partial Regex NotInNames();
}
