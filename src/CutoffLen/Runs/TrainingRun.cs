using System.Diagnostics;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Models.Llama;
using CutoffLen.Training;

namespace CutoffLen.Runs;

/// <summary>A measurement during training, at one length.</summary>
/// <param name="Length">Tokens.</param>
/// <param name="Documents">Documents that have so many.</param>
/// <param name="Tokens">Tokens scored.</param>
/// <param name="Nll">Mean, nats per token.</param>
/// <param name="Ppl">exp of it.</param>
public sealed record LengthEvaluation(int Length, int Documents, long Tokens, double Nll, double Ppl);

/// <summary>A measurement during training.</summary>
/// <param name="Protocol">The perplexity protocol.</param>
/// <param name="Lengths">Length by length.</param>
/// <param name="EffectiveContext">Tokens, as reports print it; null where no document has a whole window.</param>
public sealed record EvaluationSummary(string Protocol, IReadOnlyList<LengthEvaluation> Lengths, string? EffectiveContext);

/// <summary>A line of log.jsonl: a measurement during training.</summary>
/// <param name="Step">Steps made.</param>
/// <param name="Eval">What was found.</param>
/// <param name="EvalSeconds">How long it took.</param>
public sealed record EvaluationLine(long Step, EvaluationSummary Eval, double EvalSeconds);

/// <summary>A line of log.jsonl: means over the steps since the line before.</summary>
/// <param name="Step">Steps made.</param>
/// <param name="Epoch">Passes over the data.</param>
/// <param name="Loss">Mean loss, nats per token; null where no token was predicted.</param>
/// <param name="GradNorm">Mean global norm before clipping.</param>
/// <param name="LearningRate">Of the last step.</param>
/// <param name="TokensPerSecond">Tokens through the model.</param>
/// <param name="Seconds">Since the run, or its resumption, began, without measurements.</param>
/// <param name="Data">Checksum of the tokens, targets and positions of the last step.</param>
public sealed record LogLine(
    long Step, double Epoch, double? Loss, double GradNorm, double LearningRate, double TokensPerSecond, double Seconds, string Data);

/// <summary>
/// A training run in its folder: steps, log, checkpoints, the finished model. Every rank makes the steps, and rank 0 alone
/// writes.
/// </summary>
/// <param name="trainer">Makes the steps.</param>
/// <param name="folder">Where everything goes.</param>
/// <param name="saved">The architecture with the positions that are trained: what checkpoints say.</param>
/// <param name="config">The base model's folder, and the steps at which to log, save and measure.</param>
/// <param name="settings">The settings that decide the bits of the run.</param>
/// <param name="machine">What changes bits without being a setting.</param>
internal sealed class TrainingRun(
    Trainer trainer, RunFolder folder, LlamaConfig saved, RunConfig config,
    IReadOnlyDictionary<string, string> settings, IReadOnlyDictionary<string, string> machine)
{
    private readonly ICollectives ranks = trainer.Model.Parameters.Ranks;
    private readonly string baseModel = config.Model.Model!;
    private readonly List<StepReport> sinceLog = [];
    private readonly Stopwatch clock = new();
    private HashSet<long> evaluated = [];
    private TimeSpan lastLog;

    /// <summary>The ledger. ledger.json is written with every checkpoint.</summary>
    public required TokenLedger Ledger { get; init; }

    /// <summary>Told of every step.</summary>
    public Action<StepReport>? OnStep { get; init; }

    /// <summary>Told of every line of the log.</summary>
    public Action<LogLine>? OnLog { get; init; }

    /// <summary>Measures the model as it is, and changes nothing in it. Called every eval_steps.</summary>
    public Func<CancellationToken, EvaluationSummary>? Evaluation { get; init; }

    /// <summary>Told of every measurement.</summary>
    public Action<EvaluationLine>? OnEvaluation { get; init; }

    private bool IsFirst => ranks.Rank == 0;

    /// <summary>
    /// Trains to the end and saves final/, or until <paramref name="stop"/> on any rank and saves a checkpoint.
    /// </summary>
    /// <returns>The folder that was saved last; whether it is the finished model.</returns>
    /// <exception cref="UserException">Something stopped it; the last checkpoint is whole.</exception>
    public (string Folder, bool Finished) Run(CancellationToken stop)
    {
        evaluated = IsFirst ? [.. folder.Logged("eval")] : [];
        clock.Start();
        using var events = IsFirst ? new TensorBoardWriter(folder.TensorBoard) : null;
        Evaluate(events, stop);
        while (trainer.Step < trainer.TotalSteps)
        {
            if (ranks.Any(stop.IsCancellationRequested))
            {
                Log(events);
                return (SaveCheckpoint(), false);
            }

            var report = trainer.TrainStep();
            sinceLog.Add(report);
            OnStep?.Invoke(report);
            if (report.Step % config.Training.LoggingSteps == 0 || report.Step == trainer.TotalSteps)
            {
                Log(events);
            }

            if (report.Step == trainer.TotalSteps)
            {
                break;
            }

            if (config.Training.SaveSteps > 0 && report.Step % config.Training.SaveSteps == 0)
            {
                SaveCheckpoint();
            }

            Evaluate(events, stop);
        }

        // The last checkpoint keeps the optimizer's state, so that a finished run can be made longer.
        SaveCheckpoint();
        if (IsFirst)
        {
            Save(folder.Final, null);
        }

        Evaluate(events, stop);
        return (folder.Final, true);
    }

    /// <summary>
    /// Measures when it is due, after the step's checkpoint is saved: a measurement that fails costs no training. One that a
    /// kill cut short is made when the run is resumed.
    /// </summary>
    private void Evaluate(TensorBoardWriter? events, CancellationToken stop)
    {
        var every = config.Evaluation.EvalSteps;
        var isDue = every > 0 && (trainer.Step % every == 0 || trainer.Step == trainer.TotalSteps);
        if (!isDue || Evaluation is null || !ranks.Any(IsFirst && !stop.IsCancellationRequested && !evaluated.Contains(trainer.Step)))
        {
            return;
        }

        clock.Stop();
        var watch = Stopwatch.StartNew();
        try
        {
            var line = new EvaluationLine(trainer.Step, Evaluation(stop), watch.Elapsed.TotalSeconds);
            if (IsFirst)
            {
                folder.Log(line);
            }

            evaluated.Add(line.Step);
            OnEvaluation?.Invoke(line);
            events?.Write(line.Step, line.Eval.Lengths.Select(length => KeyValuePair.Create($"eval/ppl_{length.Length}", length.Ppl)));
        }
        catch (OperationCanceledException)
        {
            // Some rank was told to stop: the run saves and ends.
        }

        clock.Start();
    }

    private string SaveCheckpoint()
    {
        var target = folder.Checkpoint(trainer.Step);
        if (!IsFirst)
        {
            TrainingState.GiveShards(trainer.Model, trainer.Optimizer);
            return target;
        }

        var state = new TrainingState(trainer.Step, settings, machine, trainer.Trained);
        Save(target, state.Files(trainer.Model, trainer.Optimizer));
        folder.Write(RunFolder.LedgerFile, (Ledger with { Trained = trainer.Trained }).ToJson() + "\n");
        if (config.Training.SaveTotalLimit is { } most)
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
            AdapterCheckpoint.Save(target, adapters.Config with { BaseModel = ModelFolder.Portable(baseModel) }, weights, saved, baseModel, extraFiles);
        }
        else
        {
            CheckpointWriter.Save(target, saved with { Clex = trainer.Model.Equation ?? saved.Clex }, trainer.Model.Weights(), source: baseModel, extraFiles: extraFiles);
        }
    }

    private void Log(TensorBoardWriter? events)
    {
        if (sinceLog.Count == 0 || !IsFirst)
        {
            return;
        }

        var (last, targets) = (sinceLog[^1], sinceLog.Sum(report => report.Targets));
        var seconds = Math.Max(1e-9, (clock.Elapsed - lastLog).TotalSeconds);
        var line = new LogLine(
            last.Step, last.Epoch, targets == 0 ? null : sinceLog.Sum(report => (report.Loss ?? 0) * report.Targets) / targets, sinceLog.Average(report => report.GradientNorm),
            last.LearningRate, sinceLog.Sum(report => report.Tokens) / seconds, clock.Elapsed.TotalSeconds, $"{last.Data:x8}");
        lastLog = clock.Elapsed;
        sinceLog.Clear();
        folder.Log(line);
        OnLog?.Invoke(line);
        events?.Write(line.Step,
        [
            .. line.Loss is { } loss ? [KeyValuePair.Create("train/loss", loss)] : Array.Empty<KeyValuePair<string, double>>(),
            KeyValuePair.Create("train/grad_norm", line.GradNorm),
            KeyValuePair.Create("train/learning_rate", line.LearningRate),
            KeyValuePair.Create("train/tokens_per_second", line.TokensPerSecond),
        ]);
    }
}
