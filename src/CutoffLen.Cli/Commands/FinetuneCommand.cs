using System.CommandLine;
using CutoffLen.Common;
using CutoffLen.Configuration;

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
            FinetuneRun.Run(config, parsed.GetValue(Resume), stop);
        });

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
}
