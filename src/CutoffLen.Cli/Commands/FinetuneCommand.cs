using System.CommandLine;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Runs;
using CutoffLen.Training;
using Serilog;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff finetune</c>: trains a checkpoint at a chosen cutoff length.</summary>
internal static class FinetuneCommand
{
    private static readonly Option<string?> Resume = TrainingOptions.Text(
        "--resume", "Go on with a run: auto takes the newest checkpoint in --out, if there is one; or a folder checkpoint-N.", "auto|DIR");

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("finetune", "Fine-tune a checkpoint at a cutoff length: all weights, or low-rank adapters.") { Resume }
        .WithTrainingOptions()
        .Runs((parsed, stop) =>
        {
            var config = parsed.ResolveTraining();
            CheckGiven(config);
            Run(config, parsed.GetValue(Resume), stop);
        });

    /// <summary>Opens a run, trains, and says where everything is.</summary>
    internal static void Run(RunConfig config, string? resume, CancellationToken stop, Action<StepReport>? watch = null)
    {
        using var run = FinetuneRun.Open(config, resume, new RunDisplay(), stop);
        run.OnEvaluation = Line;
        Ending(config, run.Train(stop, watch));
    }

    /// <summary>Checks that a configuration says enough to begin.</summary>
    internal static void CheckGiven(RunConfig config)
    {
        TrainingOptions.Require(
            "finetune",
            (config.Model.Model is null, "--model (model): the checkpoint to fine-tune"),
            (config.Data.Data.Count == 0, "--data (data): what to train on"),
            (config.Data.CutoffLen is null, "--cutoff (cutoff_len): tokens of a training sequence"),
            (config.Training.OutputDir is null, "--out (output_dir): the folder of the run"));
        if (config.Sweep is not { Ropes: [], Cutoffs: [], FinetuneRopes: null })
        {
            throw new UserException("ropes, finetune_ropes and cutoffs are keys of 'cutoff sweep'; finetune has rope and cutoff_len");
        }
    }

    /// <summary>What a measurement on the way found.</summary>
    private static void Line(EvaluationLine line) => Log.Information(
        "step {Step}: perplexity {Lengths:l} ({Protocol:l}, {Documents} document{Plural:l}, {Time:l})", line.Step,
        string.Join(", ", line.Eval.Lengths.Select(length => FormattableString.Invariant($"{length.Ppl:0.00} at {length.Length}"))),
        line.Eval.Protocol, line.Eval.Lengths[0].Documents, line.Eval.Lengths[0].Documents == 1 ? "" : "s", Progress.Format(TimeSpan.FromSeconds(line.EvalSeconds)));

    /// <summary>Where everything is, or how to go on.</summary>
    private static void Ending(RunConfig config, FinetuneOutcome outcome)
    {
        if (outcome.Finished)
        {
            Log.Information("finished after {Steps} steps: {Folder:l}", outcome.Step, outcome.Last);
            Log.Information(
                config.Training.Method == TrainingMethod.Full ? "measure it with: cutoff eval-ppl --model {Folder:l}" : "make it a plain checkpoint with: cutoff merge --model {Folder:l} --out DIR",
                outcome.Last);
        }
        else
        {
            Log.Warning(
                "stopped at step {Step} of {Total}, saved as {Checkpoint:l}; go on with: cutoff finetune --config {Config:l} --resume auto",
                outcome.Step, outcome.TotalSteps, outcome.Last, Path.Combine(Path.GetFullPath(config.Training.OutputDir!), RunFolder.ConfigFile));
        }
    }
}
