using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Runs;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

public sealed class TrainerTests
{
    [Theory]
    [InlineData(Packing.Documents, "plain", false)]
    [InlineData(Packing.Concat, "plain", false)]
    [InlineData(Packing.Concat, "plain", true)]
    [InlineData(Packing.Pad, "randomized", false)]
    public void Four_micro_batches_of_one_sequence_do_what_one_of_four_does(Packing packing, string positions, bool lora)
    {
        using var training = new TinyTraining(40, 12, 30, 32, 7, 50, 33, 20);
        var (loss, norm, weights) = OneStep(training, batch: 4, accumulation: 1, packing, positions, lora);
        var (accumulatedLoss, accumulatedNorm, accumulated) = OneStep(training, batch: 1, accumulation: 4, packing, positions, lora);
        Assert.Equal(loss, accumulatedLoss, 1e-6 * loss);
        Assert.Equal(norm, accumulatedNorm, 1e-6 * norm);
        Assert.Equal(weights.Length, accumulated.Length);
        var away = weights.Zip(accumulated, (one, other) => Math.Abs(one - other)).Max();
        Assert.True(away <= 1e-6 * weights.Max(Math.Abs), $"gradients are {away} away");
    }

    [Fact]
    public void Bf16_gradients_are_summed_in_float32()
    {
        using var training = new TinyTraining(40, 12, 30, 32, 7, 50, 33, 20);
        using var scope = NewDisposeScope();
        using var model = TinyTraining.Full(dtype: ScalarType.BFloat16);
        using var trainer = training.Trainer(model, TinyTraining.Settings(3, accumulation: 4));
        var first = trainer.TrainStep();
        Assert.Equal(ScalarType.Float32, trainer.Optimizer.Master.dtype);
        Assert.True(first.Loss is > 0 and < 10 && trainer.TrainStep().GradientNorm > 0);
        Assert.Equal(0, model.Parameters.Gradients.abs().max().to(ScalarType.Float32).item<float>());
        Assert.True(trainer.Optimizer.Master.to(ScalarType.BFloat16).eq(model.Parameters.Values).all().item<bool>());
    }

    [Fact]
    public void A_step_without_target_tokens_has_no_loss()
    {
        using var training = new TinyTraining(1, 40);
        using var model = TinyTraining.Full();
        using var trainer = training.Trainer(model, TinyTraining.Settings(2), packing: Packing.Pad, cutoff: 40);
        var reports = Enumerable.Range(0, 2).Select(_ => trainer.TrainStep()).OrderBy(report => report.Targets).ToList();
        Assert.Equal([0, 39], reports.Select(report => report.Targets));
        Assert.Null(reports[0].Loss);
        Assert.Equal(0, reports[0].GradientNorm);
        Assert.InRange(reports[1].Loss!.Value, 1, 10);
    }

    [Fact]
    public void Learns_a_tiny_corpus_by_heart()
    {
        using var training = new TinyTraining(64, 64, 64);
        using var model = TinyTraining.Full();
        using var trainer = training.Trainer(model, TinyTraining.Settings(60, batch: 2, rate: 2e-2));
        var losses = Enumerable.Range(0, 60).Select(_ => trainer.TrainStep().Loss!.Value).ToList();
        Assert.True(losses[0] > 3 && losses[^1] < 0.3, $"from {losses[0]} to {losses[^1]}");
    }

    [Theory]
    [InlineData("plain", OptimizerKind.Adamw)]
    [InlineData("pose", OptimizerKind.Lion)]
    [InlineData("shape", OptimizerKind.Sgd)]
    public void Steps_after_a_resume_are_those_of_an_undisturbed_run_bit_for_bit(string positions, OptimizerKind kind)
    {
        foreach (var dtype in new[] { ScalarType.Float32, ScalarType.BFloat16 })
        {
            using var training = new TinyTraining(40, 12, 30, 32, 7, 50, 33);
            var settings = TinyTraining.Settings(6, batch: 1, accumulation: 2) with { Optimizer = kind };
            var (losses, bytes) = Run(training, settings, positions, dtype, [6]);
            var (resumedLosses, resumedBytes) = Run(training, settings, positions, dtype, [2, 1, 3]);
            Assert.Equal(losses, resumedLosses);
            Assert.Equal(bytes.Keys, resumedBytes.Keys);
            Assert.All(bytes, file => Assert.True(file.Value.AsSpan().SequenceEqual(resumedBytes[file.Key]), $"{file.Key} differs"));
        }
    }

    [Fact]
    public void A_loss_that_is_not_finite_names_step_sequence_and_gradient_and_changes_nothing()
    {
        using var training = new TinyTraining(40, 40);
        using var scope = NewDisposeScope();
        using var model = TinyTraining.Full();
        using var trainer = training.Trainer(model, TinyTraining.Settings(6));
        trainer.TrainStep();
        using (no_grad())
        {
            model.Parameters.View("model.layers.1.mlp.up_proj.weight")[0, 0] = float.NaN;
        }

        var before = model.Parameters.Values.bytes.ToArray();
        var fault = Assert.Throws<UserException>(() => trainer.TrainStep());
        Assert.Contains("step 2: the loss is NaN", fault.Message);
        Assert.Contains("data.jsonl", fault.Message);
        Assert.Contains("model.", fault.Message);
        Assert.Equal(before, model.Parameters.Values.bytes.ToArray());
        Assert.Equal(1, trainer.Step);
    }

    [Fact]
    public void The_ledger_counts_what_was_trained_and_goes_on_after_a_resume()
    {
        using var training = new TinyTraining(40, 12, 30, 32);
        using var model = TinyTraining.Full();
        using var trainer = training.Trainer(model, TinyTraining.Settings(2, batch: 2));
        var targets = trainer.TrainStep().Targets + trainer.TrainStep().Targets;
        Assert.Equal(targets, trainer.Trained.Targets);
        Assert.True(trainer.Trained.Sequences >= 3);
    }

    private static (double Loss, double Norm, float[] Gradients) OneStep(
        TinyTraining training, int batch, int accumulation, Packing packing, string positions, bool lora)
    {
        using var scope = NewDisposeScope();
        using var model = lora ? TinyTraining.Lora(new(4, 16, 0.3, ModuleSelection.Named("q_proj", "down_proj"), ["norm"], UseRslora: false)) : TinyTraining.Full();
        // Rate 0 leaves gradients as they are until the next step clears them.
        using var trainer = training.Trainer(model, TinyTraining.Settings(4, batch, accumulation), packing: packing, positions: positions);
        var report = trainer.TrainStep();
        return (report.Loss!.Value, report.GradientNorm, model.Parameters.Gradients.data<float>().ToArray());
    }

    /// <summary>Runs of so many steps, each in a new trainer built from the checkpoint of the one before.</summary>
    private static (List<double> Losses, Dictionary<string, byte[]> Files) Run(
        TinyTraining training, TrainingConfig settings, string positions, ScalarType dtype, int[] parts)
    {
        var losses = new List<double>();
        var folder = training[$"run-{dtype}-{parts.Length}"];
        string? from = null;
        foreach (var steps in parts)
        {
            using var scope = NewDisposeScope();
            using var checkpoint = from is null ? null : HuggingFaceCheckpoint.Open(from);
            using var model = checkpoint is null
                ? TinyTraining.Full(dtype: dtype)
                : TrainableModel.Full(TinyTraining.Config, checkpoint.Weights(CPU, dtype), dtype, CPU);
            using var trainer = training.Trainer(model, settings, positions: positions, targetLength: positions == "plain" ? null : 64);
            if (from is not null)
            {
                TrainingState.Read(from).Restore(from, trainer);
            }

            losses.AddRange(Enumerable.Range(0, steps).Select(_ => trainer.TrainStep().Loss!.Value));
            from = Path.Combine(folder, $"checkpoint-{trainer.Step}");
            var state = new TrainingState(trainer.Step, new Dictionary<string, string>(), new Dictionary<string, string>(), trainer.Trained);
            CheckpointWriter.Save(from, TinyTraining.Config, model.Weights(), extraFiles: state.Files(model, trainer.Optimizer));
        }

        return (losses, Directory.EnumerateFiles(from!).Order().ToDictionary(file => Path.GetFileName(file)!, File.ReadAllBytes));
    }
}
