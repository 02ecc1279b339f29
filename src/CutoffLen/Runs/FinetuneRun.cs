using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Hardware;
using CutoffLen.Memory;
using CutoffLen.Models;
using CutoffLen.Models.Attention;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Training;
using Serilog;
using TorchSharp;

namespace CutoffLen.Runs;

/// <summary>How a run ended.</summary>
/// <param name="Folder">The folder saved last: the finished model, or the checkpoint to resume from.</param>
/// <param name="Finished">Whether it is the finished model.</param>
/// <param name="Step">Steps made.</param>
/// <param name="TotalSteps">Steps of the whole run.</param>
public sealed record FinetuneOutcome(string Folder, bool Finished, long Step, long TotalSteps);

/// <summary>A fine-tuning run in its folder: begins or resumes, trains, saves. All ranks of its plan run it, and rank 0 alone writes.</summary>
public sealed class FinetuneRun
{
    private readonly IRunDisplay display;
    private readonly string? resume;
    private readonly string? from;
    private readonly TrainingState? state;
    private readonly AttentionChoice attention;
    private readonly IReadOnlyDictionary<string, string> settings;
    private readonly IReadOnlyDictionary<string, string> machine;

    /// <summary>Checks the run against the checkpoint it resumes from; writes nothing.</summary>
    /// <param name="plan">What is trained on what; it stays open as long as the run.</param>
    /// <param name="resume">null, auto for the newest checkpoint if there is one, or a checkpoint's folder.</param>
    /// <param name="folder">The run's folder; null for the configuration's output_dir.</param>
    /// <param name="display">Shows progress.</param>
    /// <exception cref="UserException">There is no such checkpoint, or it was made with other settings.</exception>
    public FinetuneRun(FinetunePlan plan, string? resume = null, string? folder = null, IRunDisplay? display = null)
    {
        (Plan, this.resume, this.display) = (plan, resume, display ?? RunProgress.None);
        Folder = new RunFolder(folder ?? plan.Config.Training.OutputDir!);
        from = resume != "auto" ? resume : Folder.Checkpoints() is [.., var newest] ? newest.Folder : null;
        state = from is null ? null : TrainingState.Read(from);
        attention = AttentionOf(plan, state);
        settings = RunSettings.Of(plan, attention.Path);
        machine = Machine(plan);
        if (state is not null && RunSettings.Differences(state.Settings, settings) is { Count: > 0 } differences)
        {
            throw new UserException($"--resume {from}: the run was started with other settings; give the same or begin a new run:\n  {string.Join("\n  ", differences)}");
        }
    }

    /// <summary>What is trained on what.</summary>
    public FinetunePlan Plan { get; }

    /// <summary>The run's folder.</summary>
    public RunFolder Folder { get; }

    /// <summary>Whether nothing is left to do: all steps are made and the final model is there.</summary>
    public bool IsFinished => state is not null && state.Step >= Plan.Steps.Total && Folder.HasFinalOf(state.Step);

    /// <summary>Told of every step.</summary>
    public Action<StepReport>? OnStep { get; init; }

    /// <summary>Told of every measurement that eval_steps asks for.</summary>
    public Action<EvaluationLine>? OnEvaluation { get; init; }

    /// <summary>Trains to the end, or until <paramref name="stop"/> is cancelled, and saves.</summary>
    /// <exception cref="UserException">The folder holds something else, or training cannot go on. The last checkpoint is whole.</exception>
    public FinetuneOutcome Run(CancellationToken stop = default)
    {
        Plan.Ranks.RequireSame([.. settings.Select(setting => $"{setting.Key} {setting.Value}"), $"step {state?.Step ?? 0} of {Plan.Steps.Total}"]);
        Plan.Ranks.OnFirst(Begin);
        var config = Plan.Config;
        var outlook = MemoryOutlook.Of(config, Plan.Model, Plan.Positions, Plan.Compute, Plan.Ranks.Size);
        var peak = new PeakMemory(Plan.Compute);
        using var model = Plan.LoadModel(from);
        var positioned = new PositionedModel(model.Network, Plan.Positions, attention);
        using var trainer = Plan.CreateTrainer(model, attention.Path);
        var ledger = TokenLedger.Of(Plan.Documents, Plan.Sequences, Plan.Model.NativeLength, config.Data.TargetLen);
        Resume(trainer);
        Plan.Ranks.OnFirst(() => Folder.Write(RunFolder.LedgerFile, (ledger with { Trained = trainer.Trained }).ToJson() + "\n"));
        FinetuneLog.Opening(Plan, model, ledger, trainer);
        FinetuneLog.Memory(outlook);
        ModelSession.LogProof(Plan.Base.Name, Plan.Compute, positioned);
        ModelSession.LogAttention(attention);
        var saved = Plan.Model.With(PositionConfig.Of(Plan.Positions, Plan.Model.ModelType));
        var (folder, finished) = display.Show("finetune", trainer.TotalSteps, progress =>
            new TrainingRun(trainer, Folder, saved, config, settings, machine)
            {
                Ledger = ledger,
                OnStep = FinetuneLog.Watch(progress) + OnStep,
                OnLog = FinetuneLog.Line,
                Evaluation = Plan.Evaluation is { } evaluation ? cancel => evaluation.Measure(model.Network, trainer.Layers, attention.Path, Plan.Ranks, cancel) : null,
                OnEvaluation = OnEvaluation,
            }.Run(stop));
        FinetuneLog.Memory(outlook, peak.Bytes());
        Plan.Ranks.Barrier(); // from here on every rank finds what rank 0 saved
        return new FinetuneOutcome(folder, finished, trainer.Step, trainer.TotalSteps);
    }

    /// <summary>
    /// Makes the folder. A resumed run stays in its own folder. One that begins, or takes another run's checkpoint, needs a
    /// new one.
    /// </summary>
    private void Begin()
    {
        if (from is null || Folder.Checkpoints().All(own => Path.GetFullPath(own.Folder) != Path.GetFullPath(from)))
        {
            Folder.Begin(mayRestart: resume == "auto");
        }

        var config = Plan.Config with { Training = Plan.Config.Training with { OutputDir = Folder.Path } };
        Folder.Write(RunFolder.ConfigFile, RunConfigWriter.ToYaml(config.WithFullPaths())); // the first file: it makes the folder a run's
        display.Enter(Folder.Path);
    }

    private void Resume(Trainer trainer)
    {
        if (state is null)
        {
            if (resume == "auto")
            {
                Log.Information("{Folder:l} holds no checkpoint yet, so the run begins at step 0", Folder.Path);
            }

            return;
        }

        state.Restore(from!, trainer);
        Plan.Ranks.OnFirst(() => Folder.ForgetAfter(state.Step));
        Log.Information("going on from {Checkpoint:l}, step {Step}", from!, state.Step);
        foreach (var difference in RunSettings.Differences(state.Machine, machine))
        {
            Log.Warning("resumed elsewhere: {Difference:l}; results may differ in their last bits from those of an undisturbed run", difference);
        }
    }

    /// <summary>A resumed run keeps its path, also where auto would now take another.</summary>
    private static AttentionChoice AttentionOf(FinetunePlan plan, TrainingState? state) =>
        plan.Config.Model.Attention == AttentionChoice.Auto && state?.Settings.GetValueOrDefault(RunSettings.Attention) is { } before
            ? FinetunePlan.ChooseAttention(plan.Config, before, plan.Positions, plan.Model, plan.Compute)
            : plan.Attention;

    private static Dictionary<string, string> Machine(FinetunePlan plan) => new()
    {
        ["device"] = plan.Compute.DeviceName,
        ["ranks"] = $"{plan.Ranks.Size}",
        ["context_parallel_size"] = $"{plan.Config.Training.ContextParallelSize}",
        ["threads"] = $"{torch.get_num_threads()}",
        ["libtorch"] = TorchLibrary.Load().Libtorch ?? "",
        ["attention_pieces"] = $"{BlockSize.For(plan.Compute.Device)}",
    };
}
