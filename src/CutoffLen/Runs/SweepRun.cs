using System.Text.RegularExpressions;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Sweeps;
using CutoffLen.Files;
using CutoffLen.Hardware;
using CutoffLen.Positions.Spec;
using Serilog;

namespace CutoffLen.Runs;

/// <summary>A cell of a grid with its scores.</summary>
/// <param name="Cell">Method and cutoff.</param>
/// <param name="Sweep">The scores.</param>
/// <param name="Cost">What fine-tuning it took; null before.</param>
public sealed record ScoredCell(GridCell Cell, ModelSweep Sweep, TrainingCost? Cost);

/// <summary>What a fine-tuning run took.</summary>
/// <param name="Steps">Optimizer steps.</param>
/// <param name="Tokens">Tokens that something was learned from.</param>
/// <param name="Seconds">Of the steps that are in the model; null where the log does not say.</param>
/// <param name="Loss">Of the last line of the log, nats per token.</param>
public sealed record TrainingCost(long Steps, long Tokens, double? Seconds, double? Loss);

/// <summary>
/// A sweep over position methods and cutoffs. A cell is a measurement, kept batch by batch in results.jsonl, after a
/// fine-tuning run of its own under runs/, which goes on from its last checkpoint. What is there is not made again.
/// </summary>
public sealed partial class SweepRun : IDisposable
{
    private const string Runs = "runs";

    private readonly RunConfig config;
    private readonly string folder;
    private readonly IRunDisplay display;
    private readonly CancellationToken stop;
    private readonly DeviceAndDtype compute;
    private readonly ModelSession model;
    private readonly EvaluationTexts texts;
    private readonly IReadOnlyList<int> lengths;
    private readonly PerplexityProtocol protocol;
    private readonly SpecialTokens special;
    private readonly CutoffGrid grid;
    private readonly ResultLog log;
    private readonly PerplexityRun perplexity;

    /// <summary>Opens model and texts; reads no weights yet.</summary>
    /// <param name="config">With model, eval_data, ropes and output folder given, and with data when there are cutoffs.</param>
    /// <param name="batchTokens">The most tokens that one batch of a measurement reads.</param>
    /// <param name="display">Shows what the sweep does.</param>
    /// <param name="stop">Ctrl-C: saves and ends.</param>
    /// <exception cref="UserException">What is wrong.</exception>
    public SweepRun(RunConfig config, int batchTokens, IRunDisplay display, CancellationToken stop)
    {
        (this.config, this.display, this.stop) = (config, display, stop);
        compute = DeviceAndDtype.Choose(config.Model.Device, config.Model.Dtype);
        CpuThreads.Use(config.Model.Threads);
        model = ModelSession.Open(config.Model.Model!, compute, config.Model.Attention);
        var (evaluation, sweep, architecture) = (config.Evaluation, config.Sweep, model.Folder.Config);
        texts = EvaluationTexts.Read(evaluation.EvalData, model.Folder.Tokenizer, evaluation.MaxEvalDocuments, cancel: stop);
        // The native length is always measured: what a method costs there is half of the question.
        lengths = architecture.NativeLength < evaluation.Lengths[^1] ? [.. evaluation.Lengths.Append(architecture.NativeLength).Distinct().Order()] : evaluation.Lengths;
        protocol = PerplexityProtocols.Parse(evaluation.Protocol, evaluation.Stride);
        special = SpecialTokens.Of(model.Folder.Tokenizer);
        grid = CutoffGrid.Of(
            architecture.PositionConfig, architecture.Positions, sweep.Ropes, sweep.FinetuneRopes ?? sweep.Ropes, sweep.Cutoffs, config.Data.TargetLen, lengths[^1]);
        folder = config.Training.OutputDir!;
        OutputFolder.Create(folder);
        display.Enter(folder);
        log = new ResultLog(Path.Combine(folder, RunFolder.ResultsFile));
        perplexity = new PerplexityRun(new SweepPlan([protocol], lengths, special, DependsOnLength: false), texts.Texts, log, batchTokens, display, stop);
    }

    /// <summary>What the report calls the model: its folder's name, with the one above where that says nothing.</summary>
    public string Name => model.Folder.Name is "model" or "final" or "merged"
        ? $"{Path.GetFileName(Path.GetDirectoryName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(model.Folder.Folder))))}/{model.Folder.Name}"
        : model.Folder.Name;

    /// <summary>The model before fine-tuning.</summary>
    public ModelFolder Model => model.Folder;

    /// <summary>Device and dtype.</summary>
    public DeviceAndDtype Compute => compute;

    /// <summary>What is measured on.</summary>
    public EvaluationTexts Texts => texts;

    /// <summary>Context lengths in tokens.</summary>
    public IReadOnlyList<int> Lengths => lengths;

    /// <summary>How perplexity is measured.</summary>
    public PerplexityProtocol Protocol => protocol;

    /// <summary>The cells to be made.</summary>
    public CutoffGrid Grid => grid;

    /// <summary>Makes every cell that is not there.</summary>
    /// <param name="onCell">Told of all cells so far when a new one is made.</param>
    /// <exception cref="UserException">A run in the folder was started with other settings, or something else is wrong.</exception>
    /// <exception cref="OperationCanceledException">Stopped; all that was done is kept.</exception>
    public IReadOnlyList<ScoredCell> Run(Action<IReadOnlyList<ScoredCell>> onCell)
    {
        CheckRuns();
        File.WriteAllText(Path.Combine(folder, RunFolder.ConfigFile), RunConfigWriter.ToYaml(config.WithFullPaths()));
        var cells = grid.Cells.ToList();
        Log.Information(
            "{Cells} cells: {Before} before fine-tuning, {After} after; {Texts} texts, lengths {Lengths:l}",
            cells.Count, grid.Before.Count, grid.After.Count, texts.Texts.Count, string.Join(", ", lengths));
        var scored = new List<ScoredCell>();
        foreach (var cell in cells)
        {
            var (made, isNew) = cell.Cutoff is null ? (Before(cell), false) : After(cell, $"{scored.Count + 1} of {cells.Count}");
            scored.Add(made);
            if (isNew && scored.Count < cells.Count)
            {
                onCell(scored);
            }
        }

        return scored;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        model.Dispose();
        log.Dispose();
    }

    /// <summary>A cell's run: the sweep's own keys with the cell's method and cutoff.</summary>
    private RunConfig ConfigOf(GridCell cell) => config with
    {
        Model = config.Model with { Rope = cell.Rope },
        Data = config.Data with { CutoffLen = cell.Cutoff },
        Training = config.Training with { OutputDir = Path.Combine(folder, Runs, $"{NotInNames().Replace(cell.Rope, "_")}-{cell.Cutoff}") },
        Evaluation = config.Evaluation with { EvalSteps = 0 },
        Sweep = new SweepConfig(),
    };

    /// <summary>Opens every run before any work is done: what is wrong with the last one is said now.</summary>
    private void CheckRuns()
    {
        foreach (var cell in grid.After)
        {
            using var run = Open(cell);
        }
    }

    private FinetuneRun Open(GridCell cell)
    {
        try
        {
            return FinetuneRun.Open(ConfigOf(cell), "auto", display, stop);
        }
        catch (UserException problem)
        {
            throw new UserException($"{cell.Rope} at cutoff {cell.Cutoff}: {problem.Message}", problem);
        }
    }

    private ScoredCell Before(GridCell cell)
    {
        var sweep = perplexity.Recall(model, cell.Spec);
        return new ScoredCell(cell, sweep ?? perplexity.Measure(model.Folder.Name, model, model.Under(cell.Spec, lengths[^1])), null);
    }

    private (ScoredCell Cell, bool IsNew) After(GridCell cell, string place)
    {
        var run = ConfigOf(cell).Training.OutputDir!;
        var trained = Train(cell, place);
        using var tuned = ModelSession.Open(new RunFolder(run).Final, compute, config.Model.Attention);
        // The checkpoint's own method is the one it was trained with, whatever words its config.json has for it.
        var own = PositionSpec.Parse("auto");
        var recalled = perplexity.Recall(tuned, own);
        var sweep = recalled ?? perplexity.Measure($"{cell.Rope} tuned at {cell.Cutoff}", tuned, tuned.Under(own, lengths[^1]));
        return (new ScoredCell(cell, sweep, CostOf(run)), trained || recalled is null);
    }

    /// <summary>Fine-tunes where that is not done, and says whether it did.</summary>
    private bool Train(GridCell cell, string place)
    {
        using var run = Open(cell);
        if (run.IsFinished)
        {
            return false;
        }

        Log.Information("cell {Place:l}: fine-tuning with {Rope:l} at {Cutoff} tokens", place, cell.Rope, cell.Cutoff);
        var outcome = run.Train(stop);
        display.Enter(folder);
        if (!outcome.Finished)
        {
            Log.Warning("stopped at step {Step} of {Steps}, saved as {Checkpoint:l}", outcome.Step, outcome.TotalSteps, outcome.Last);
            throw new OperationCanceledException(stop);
        }

        return true;
    }

    private static TrainingCost CostOf(string run)
    {
        var folder = new RunFolder(run);
        var ledger = TokenLedger.FromJson(File.ReadAllText(Path.Combine(run, RunFolder.LedgerFile)));
        var logged = folder.Logged();
        return new TrainingCost(folder.Checkpoints()[^1].Step, ledger.Trained.Targets, logged?.Seconds, logged?.Loss);
    }

    [GeneratedRegex("[^A-Za-z0-9.=+-]")]
    private static partial Regex NotInNames();
}
