using System.Diagnostics;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Models.Llama;
using CutoffLen.Training;

namespace CutoffLen.Runs;

/// <summary>When a run logs and saves.</summary>
/// <param name="LoggingSteps">Steps between lines of the log.</param>
/// <param name="SaveSteps">Steps between checkpoints; 0 saves at the end only.</param>
/// <param name="SaveTotalLimit">Checkpoints that are kept; null for all.</param>
/// <param name="EvalSteps">Steps between measurements, which are also made before the first step and after the last; 0 for none.</param>
public sealed record RunRhythm(int LoggingSteps, int SaveSteps, int? SaveTotalLimit, int EvalSteps = 0);

/// <summary>What a measurement on the way found at a length.</summary>
/// <param name="Length">Tokens.</param>
/// <param name="Documents">Documents that have so many.</param>
/// <param name="Tokens">Tokens scored.</param>
/// <param name="Nll">Mean, nats per token.</param>
/// <param name="Ppl">exp of it.</param>
public sealed record LengthEvaluation(int Length, int Documents, long Tokens, double Nll, double Ppl);

/// <summary>What a measurement on the way found.</summary>
/// <param name="Protocol">The perplexity protocol.</param>
/// <param name="Lengths">Length by length.</param>
/// <param name="EffectiveContext">Tokens, as reports print it; null where no document has a whole window.</param>
public sealed record EvaluationSummary(string Protocol, IReadOnlyList<LengthEvaluation> Lengths, string? EffectiveContext);

/// <summary>A line of log.jsonl: a measurement on the way.</summary>
/// <param name="Step">Steps made.</param>
/// <param name="Eval">What was found.</param>
/// <param name="EvalSeconds">How long it took.</param>
public sealed record EvaluationLine(long Step, EvaluationSummary Eval, double EvalSeconds);

/// <summary>A line of log.jsonl: means over the steps since the line before.</summary>
/// <param name="Step">Steps made.</param>
/// <param name="Epoch">Passes over the data.</param>
/// <param name="Loss">Mean loss, nats per token.</param>
/// <param name="GradNorm">Mean global norm before clipping.</param>
/// <param name="LearningRate">Of the last step.</param>
/// <param name="TokensPerSecond">Tokens through the model.</param>
/// <param name="Seconds">Since the run, or its resumption, began, without measurements.</param>
/// <param name="Data">Checksum of the tokens, targets and positions of the last step.</param>
public sealed record LogLine(
    long Step, double Epoch, double Loss, double GradNorm, double LearningRate, double TokensPerSecond, double Seconds, string Data);

/// <summary>A training run in its folder: steps, log, checkpoints, the finished model.</summary>
/// <param name="trainer">Makes the steps.</param>
/// <param name="folder">Where everything goes.</param>
/// <param name="saved">The architecture with the positions that are trained: what checkpoints say.</param>
/// <param name="baseModel">The folder of the checkpoint that was fine-tuned.</param>
/// <param name="settings">Every key that decides the run.</param>
/// <param name="machine">What changes bits without being a setting.</param>
/// <param name="rhythm">When to log and save.</param>
public sealed class TrainingRun(
    Trainer trainer, RunFolder folder, LlamaConfig saved, string baseModel,
    IReadOnlyDictionary<string, string> settings, IReadOnlyDictionary<string, string> machine, RunRhythm rhythm)
{
    private readonly List<StepReport> sinceLog = [];
    private readonly Stopwatch clock = new();
    private TimeSpan lastLog;

    /// <summary>The ledger; ledger.json is written with every checkpoint.</summary>
    public required TokenLedger Ledger { get; init; }

    /// <summary>Told of every step.</summary>
    public Action<StepReport> OnStep { get; init; } = _ => { };

    /// <summary>Told of every line of the log.</summary>
    public Action<LogLine> OnLog { get; init; } = _ => { };

    /// <summary>Measures the model as it is; must change nothing in it. Called at the rhythm's eval_steps.</summary>
    public Func<CancellationToken, EvaluationSummary>? Evaluation { get; init; }

    /// <summary>Told of every measurement.</summary>
    public Action<EvaluationLine> OnEvaluation { get; init; } = _ => { };

    /// <summary>Trains to the end and saves final/, or until <paramref name="stop"/> and saves a checkpoint.</summary>
    /// <returns>The folder that was saved last; whether it is the finished model.</returns>
    /// <exception cref="UserException">Something stopped it; the last checkpoint is whole.</exception>
    public (string Folder, bool Finished) Run(CancellationToken stop)
    {
        clock.Start();
        using var events = new TensorBoardWriter(folder.TensorBoard);
        Evaluate(events, stop);
        while (trainer.Step < trainer.TotalSteps)
        {
            if (stop.IsCancellationRequested)
            {
                Log(events);
                return (SaveCheckpoint(), false);
            }

            var report = trainer.TrainStep();
            sinceLog.Add(report);
            OnStep(report);
            if (report.Step % rhythm.LoggingSteps == 0 || report.Step == trainer.TotalSteps)
            {
                Log(events);
            }

            if (report.Step == trainer.TotalSteps)
            {
                break;
            }

            if (rhythm.SaveSteps > 0 && report.Step % rhythm.SaveSteps == 0)
            {
                SaveCheckpoint();
            }

            Evaluate(events, stop);
        }

        // The last checkpoint keeps the optimizer's state, so that a finished run can be made longer.
        SaveCheckpoint();
        Save(folder.Final, null);
        Evaluate(events, stop);
        return (folder.Final, true);
    }

    /// <summary>Goes on from a checkpoint: the optimizer, the step, the counts. The model was built from it.</summary>
    public static void Resume(Trainer trainer, TrainingState state, string checkpoint)
    {
        state.Restore(checkpoint, trainer.Model, trainer.Optimizer);
        trainer.Trained = state.Trained;
    }

    /// <summary>
    /// Measures when it is time, after the step's checkpoint is saved: a measurement that fails costs no training, and one
    /// that a kill cut short is made when the run goes on.
    /// </summary>
    private void Evaluate(TensorBoardWriter events, CancellationToken stop)
    {
        var isDue = rhythm.EvalSteps > 0 && (trainer.Step % rhythm.EvalSteps == 0 || trainer.Step == trainer.TotalSteps);
        if (!isDue || Evaluation is null || stop.IsCancellationRequested || folder.HasLogged(trainer.Step, "eval"))
        {
            return;
        }

        clock.Stop();
        var watch = Stopwatch.StartNew();
        try
        {
            var line = new EvaluationLine(trainer.Step, Evaluation(stop), watch.Elapsed.TotalSeconds);
            folder.Log(line);
            OnEvaluation(line);
            events.Write(line.Step, line.Eval.Lengths.Select(length => KeyValuePair.Create($"eval/ppl_{length.Length}", length.Ppl)));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The run saves and ends.
        }

        clock.Start();
    }

    private string SaveCheckpoint()
    {
        var target = folder.Checkpoint(trainer.Step);
        var state = new TrainingState(trainer.Step, settings, machine, trainer.Trained);
        Save(target, state.Files(trainer.Model, trainer.Optimizer));
        folder.Write(RunFolder.LedgerFile, (Ledger with { Trained = trainer.Trained }).ToJson() + "\n");
        if (rhythm.SaveTotalLimit is { } most)
        {
            folder.Keep(most);
        }

        return target;
    }

    private void Save(string target, IReadOnlyDictionary<string, Action<string>>? extraFiles)
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        if (trainer.Model.Adapters is { } adapters)
        {
            var parameters = trainer.Model.Parameters;
            var weights = parameters.Names.Select(name => (name, parameters.View(name))).ToList();
            AdapterCheckpoint.Save(target, adapters.Config with { BaseModel = Path.GetFullPath(baseModel) }, weights, saved, baseModel, extraFiles);
        }
        else
        {
            CheckpointWriter.Save(target, saved, trainer.Model.Weights(), source: baseModel, extraFiles: extraFiles);
        }
    }

    private void Log(TensorBoardWriter events)
    {
        if (sinceLog.Count == 0)
        {
            return;
        }

        var (last, targets) = (sinceLog[^1], Math.Max(1, sinceLog.Sum(report => report.Targets)));
        var seconds = Math.Max(1e-9, (clock.Elapsed - lastLog).TotalSeconds);
        var line = new LogLine(
            last.Step, last.Epoch, sinceLog.Sum(report => report.Loss * report.Targets) / targets, sinceLog.Average(report => report.GradientNorm),
            last.LearningRate, sinceLog.Sum(report => report.Tokens) / seconds, clock.Elapsed.TotalSeconds, $"{last.Data:x8}");
        lastLog = clock.Elapsed;
        sinceLog.Clear();
        folder.Log(line);
        OnLog(line);
        events.Write(line.Step, new Dictionary<string, double>
        {
            ["train/loss"] = line.Loss,
            ["train/grad_norm"] = line.GradNorm,
            ["train/learning_rate"] = line.LearningRate,
            ["train/tokens_per_second"] = line.TokensPerSecond,
        });
    }
}
