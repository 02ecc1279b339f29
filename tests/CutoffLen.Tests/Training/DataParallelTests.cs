using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Data;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs;
using CutoffLen.Tests.Distributed;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

/// <summary>Ranks that share the sequences of each step, or groups of them that share each sequence, against one rank that has them all.</summary>
public sealed class DataParallelTests : IDisposable
{
    private const double MaxGradNorm = 0.1; // below every norm, so that clipping is part of each step

    private static readonly AdapterConfig Adapters = new(4, 8, 0.1, ModuleSelection.Named("q_proj", "v_proj", "up_proj"), ["embed_tokens", "norm"], UseRslora: false);

    // Documents of 32 tokens have the scale 4, others less.
    private const string ClexSpec = "clex:max_factor=4,original=8,time_dt=0.1";

    private static ClexMethod Clex => (ClexMethod)new PositionSetup(PositionMethods.Parse(ClexSpec), TinyTraining.Config.Positions, 32).Method;

    // The last step of an epoch has fewer sequences than the others.
    private readonly TinyTraining training = new(40, 12, 30, 32, 7, 50, 33, 20, 31, 9, 25, 28, 30, 32);

    [Theory]
    [InlineData(2, 1, 4, "full", ScalarType.Float32)]
    [InlineData(4, 1, 4, "full", ScalarType.Float32)]
    [InlineData(3, 1, 3, "full", ScalarType.Float32)]
    [InlineData(4, 1, 4, "lora", ScalarType.Float32)]
    [InlineData(2, 1, 4, "full", ScalarType.BFloat16)]
    [InlineData(4, 1, 4, "lora", ScalarType.BFloat16)]
    [InlineData(2, 2, 4, "full", ScalarType.Float32)]
    [InlineData(4, 2, 4, "full", ScalarType.Float32)]
    [InlineData(4, 2, 4, "lora", ScalarType.Float32)]
    [InlineData(4, 4, 2, "lora", ScalarType.BFloat16)]
    [InlineData(2, 1, 4, "clex", ScalarType.Float32)]
    [InlineData(4, 2, 4, "clex", ScalarType.Float32)]
    public void Ranks_make_the_steps_of_one(int ranks, int context, int batch, string method, ScalarType dtype)
    {
        var one = Train(null, batch, method, dtype, steps: 20);
        Assert.All(one.Reports, step => Assert.True(step.GradientNorm > MaxGradNorm));
        Assert.Equal(2, one.Reports.Select(step => step.Tokens).Distinct().Count());
        var (losses, norms, weights) = dtype == ScalarType.Float32 ? (1e-5, 1e-4, 1e-4) : (1e-2, 5e-2, 1e-2);
        foreach (var many in ThreadCollectives.Run(ranks, group => Train(group, batch, method, dtype, steps: 20, context: context)))
        {
            foreach (var (expected, actual) in one.Reports.Zip(many.Reports))
            {
                Assert.Equal(expected.Loss!.Value, actual.Loss!.Value, losses * expected.Loss.Value);
                Assert.Equal(expected.GradientNorm, actual.GradientNorm, norms * expected.GradientNorm);
                Assert.Equal((expected.Step, expected.Tokens, expected.Targets, expected.Data), (actual.Step, actual.Tokens, actual.Targets, actual.Data));
            }

            AssertClose(one.Weights, many.Weights, weights, "weights");
            Assert.Equal(one.Trained.Positions, many.Trained.Positions);
            Assert.InRange(many.StateElements, one.StateElements / ranks, (one.StateElements / ranks) + 100); // a shard each
        }
    }

    [Theory]
    [InlineData("full", ScalarType.Float32)]
    [InlineData("lora", ScalarType.BFloat16)]
    public void A_run_goes_on_with_the_same_numbers_on_another_number_of_ranks(string method, ScalarType dtype)
    {
        Train(null, 4, method, dtype, steps: 12, save: "straight");
        string? from = null;
        foreach (var (ranks, context, until) in new[] { (2, 1, 3), (4, 2, 6), (2, 2, 9), (1, 1, 12) })
        {
            ThreadCollectives.Run(ranks, group => Train(group, 4, method, dtype, steps: 12, from, until, save: $"{until}", context));
            from = training[$"{until}"];
        }

        var (straight, parts) = (Tensors(training["straight"]), Tensors(from!));
        Assert.Equal(straight.Keys.Order(), parts.Keys.Order());
        Assert.All(straight, tensor => AssertClose(tensor.Value, parts[tensor.Key], dtype == ScalarType.Float32 ? 1e-4 : 5e-2, tensor.Key));
    }

    [Fact]
    public void Checkpoints_of_the_same_state_are_the_same_files_whatever_ranks_write_them()
    {
        ThreadCollectives.Run(4, group => Train(group, 4, "full", ScalarType.BFloat16, steps: 3, until: 2, save: "four"));
        ThreadCollectives.Run(2, group => Train(group, 4, "full", ScalarType.BFloat16, steps: 3, training["four"], until: 2, save: "two"));
        Train(null, 4, "full", ScalarType.BFloat16, steps: 3, training["four"], until: 2, save: "one");
        foreach (var file in Directory.EnumerateFiles(training["four"]))
        {
            var bytes = File.ReadAllBytes(file);
            Assert.Equal(bytes, File.ReadAllBytes(Path.Combine(training["two"], Path.GetFileName(file))));
            Assert.Equal(bytes, File.ReadAllBytes(Path.Combine(training["one"], Path.GetFileName(file))));
        }
    }

    [Fact]
    public void The_largest_gradient_is_that_of_any_rank()
    {
        var found = ThreadCollectives.Run(3, group =>
        {
            using var scope = NewDisposeScope();
            using var parameters = new FlatParameters(
                ParameterGroup.ByShape([new ParameterShape("first", [3]), new ParameterShape("second", [4])]), ScalarType.Float32, CPU, group);
            using var sum = new GradientSum(parameters, 1);
            parameters.GradientView("first").fill_(3f - group.Rank);
            var largest = sum.LargestOfAll();
            parameters.GradientView("second")[0] = group.Rank == 2 ? float.NaN : 0;
            return (largest, WithNaN: sum.LargestOfAll());
        });
        Assert.All(found, rank =>
        {
            Assert.Equal(("first", Math.Sqrt(27)), (rank.largest.Name, rank.largest.Norm), (one, other) => one.Item1 == other.Item1 && Math.Abs(one.Item2 - other.Item2) < 1e-6);
            Assert.Equal(("second", double.NaN), rank.WithNaN);
        });
    }

    public void Dispose() => training.Dispose();

    /// <summary>Trains from a checkpoint, or from the beginning, until a step; saves as rank 0 of a run does.</summary>
    private Outcome Train(ThreadCollectives? ranks, int batch, string method, ScalarType dtype, int steps, string? from = null, int? until = null, string? save = null, int context = 1)
    {
        using var scope = NewDisposeScope();
        using var checkpoint = from is null || method == "lora" ? null : HuggingFaceCheckpoint.Open(from);
        using var model = method == "lora" ? TinyTraining.Lora(Adapters, dtype: dtype, ranks: ranks)
            : checkpoint is null ? TinyTraining.Full(dtype: dtype, ranks: ranks, equation: method == "clex" ? Clex.Weights : null)
            : TrainableModel.Full(TinyTraining.Config, checkpoint.Weights(CPU, dtype), dtype, CPU, ranks);
        var settings = TinyTraining.Settings(steps, accumulation: batch * context / (ranks?.Size ?? 1)) with { MaxGradNorm = MaxGradNorm, ContextParallelSize = context };
        using var trainer = training.Trainer(model, settings, rope: method == "clex" ? ClexSpec : "rope");
        if (from is not null)
        {
            if (method == "lora")
            {
                model.LoadAdapters(from);
            }

            TrainingState.Read(from).Restore(from, trainer);
        }

        var reports = new List<StepReport>();
        while (trainer.Step < (until ?? steps))
        {
            reports.Add(trainer.TrainStep());
        }

        if (save is not null)
        {
            Save(trainer, ranks?.Rank ?? 0, training[save]);
        }

        ranks?.Barrier();
        var weights = model.Parameters.Values.narrow(0, 0, model.Parameters.Count).to(ScalarType.Float32).data<float>().ToArray();
        return new Outcome(reports, weights, trainer.Trained, trainer.Optimizer.State.Sum(state => state.Buffer.numel()));
    }

    private static void Save(Trainer trainer, int rank, string folder)
    {
        if (rank > 0)
        {
            TrainingState.GiveShards(trainer.Model, trainer.Optimizer);
            return;
        }

        var files = new TrainingState(trainer.Step, new Dictionary<string, string>(), new Dictionary<string, string>(), trainer.Trained).Files(trainer.Model, trainer.Optimizer);
        if (trainer.Model.Adapters is { } adapters)
        {
            var parameters = trainer.Model.Parameters;
            AdapterCheckpoint.Save(folder, adapters.Config, [.. parameters.Names.Select(name => (name, parameters.View(name)))], TinyTraining.Config, extraFiles: files);
        }
        else
        {
            CheckpointWriter.Save(folder, TinyTraining.Config, trainer.Model.Weights(), extraFiles: files);
        }
    }

    private static Dictionary<string, float[]> Tensors(string folder)
    {
        using var scope = NewDisposeScope();
        var tensors = new Dictionary<string, float[]>();
        foreach (var path in Directory.EnumerateFiles(folder, "*.safetensors"))
        {
            using var file = SafetensorsFile.Open(path);
            foreach (var tensor in file.Tensors)
            {
                tensors.Add($"{Path.GetFileName(path)} {tensor.Name}", file.Read(tensor.Name, ScalarType.Float32, CPU).flatten().data<float>().ToArray());
            }
        }

        return tensors;
    }

    /// <summary>Relative to the largest value.</summary>
    private static void AssertClose(float[] expected, float[] actual, double relative, string what)
    {
        Assert.Equal(expected.Length, actual.Length);
        var away = expected.Zip(actual, (one, other) => Math.Abs(one - other)).Max() / expected.Max(Math.Abs);
        Assert.True(away <= relative, $"{what}: {away:g3} away");
    }

    private sealed record Outcome(IReadOnlyList<StepReport> Reports, float[] Weights, TrainedCounts Trained, long StateElements);
}
