using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs;
using CutoffLen.Runs.Check;
using CutoffLen.Tests.Models;
using CutoffLen.Tests.Positions.Methods;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

/// <summary>CLEX's equation is trained: its gradient, its place in a run and in checkpoints.</summary>
public sealed class ClexTrainingTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(Recompute.None)]
    [InlineData(Recompute.Layers)]
    public void The_gradient_of_the_equation_is_that_of_finite_differences_through_the_network(Recompute recompute)
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config() with { Clex = ClexGoldenTests.Weights(8), MaxPositionEmbeddings = 8 };
        var method = (ClexMethod)new PositionSetup(PositionMethods.Parse("clex:max_factor=4,time_dt=0.1"), config.Positions).Method;
        // Documents of scales 3, 1 and 2.
        var positions = new TokenPositions([0, 3, 4, 9, 15, 23, 0, 1, 2, 5, 7, 0, 4, 8, 9, 15], [0, 6, 11]);
        var (tokens, targets) = (TinyModels.Tokens(config, 1, 16), TinyModels.Tokens(config, 1, 16, seed: 8));
        using var network = TinyModels.Random(config);
        var weights = network.named_parameters().ToDictionary(p => p.name, p => (Tensor)p.parameter);
        using var model = TrainableModel.Full(config, (name, _) => weights[name], ScalarType.Float32, CPU, equation: method.Weights);
        Assert.Equal(method.Weights.Up, model.Equation!.Up);

        using var batches = new MicroBatches(method, model.Network, CutoffLen.Models.Attention.AttentionPath.Sdpa);
        var sequence = new TrainingSequence([.. tokens.data<long>().Select(id => (int)id)], [.. targets.data<long>().Select(id => (int)id)], positions, 0, []);
        var batch = batches.Of([new PositionedSequence(sequence, positions)]);
        var clex = new ClexTraining(model, method);
        var angles = clex.Angles(batch);
        model.Backprop(recompute).Run(batch.Tokens, batch.Targets, batch.Plans, 1.0 / 16, angles);
        clex.AddGradient(batch, angles);

        var random = new Random(1);
        foreach (var name in new[] { WeightFiles.ClexUp, WeightFiles.ClexDown })
        {
            var gradient = model.Parameters.GradientView(name).flatten().data<float>().ToArray();
            var direction = gradient.Select(_ => (float)(random.NextDouble() - 0.5)).ToArray();
            var expected = (Loss(1e-3f) - Loss(-1e-3f)) / 2e-3;
            var actual = gradient.Zip(direction, (one, other) => (double)one * other).Sum();
            Assert.True(Math.Abs(expected) > 1e-4, $"{expected}");
            Assert.Equal(expected, actual, 0.01 * Math.Abs(expected));

            double Loss(float by)
            {
                var now = method.Weights;
                float[] Moved(float[] values) => [.. values.Zip(direction, (value, d) => value + (by * d))];
                var moved = method.With(name == WeightFiles.ClexUp ? now with { Up = Moved(now.Up) } : now with { Down = Moved(now.Down) });
                return new DenseReference(config, weights.Select(weight => (weight.Key, weight.Value))).Run(moved, positions, tokens, targets).Loss;
            }
        }
    }

    [Fact]
    public void A_run_trains_the_equation_saves_it_and_is_resumed_in_the_same_bits()
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 3);
        var whole = Train("whole", stopAfter: null);
        Train("stopped", stopAfter: 3);
        var resumed = Train("stopped", stopAfter: null);
        Assert.True(whole.Finished && resumed.Finished);
        Assert.Equal(File.ReadAllBytes(Path.Combine(whole.Folder, "model.safetensors")), File.ReadAllBytes(Path.Combine(resumed.Folder, "model.safetensors")));

        using var trained = ModelFolder.Open(whole.Folder);
        var began = ClexWeights.New(TinyCheckpoint.Config.HeadDim, 2 * TinyCheckpoint.Config.HeadDim);
        Assert.Equal(began.Width, trained.Config.Clex!.Width);
        Assert.All(trained.Config.Clex.Down, weight => Assert.NotEqual(0, weight));
        Assert.NotEqual(began.Up, trained.Config.Clex.Up);
        var scaling = JsonNode.Parse(File.ReadAllText(Path.Combine(whole.Folder, "config.json")))!["rope_scaling"]!;
        Assert.Equal(("clex", 4, 2), ((string)scaling["rope_type"]!, (int)scaling["max_factor"]!, (int)scaling["param_factor"]!));
        var setup = trained.Config.SetupFor(PositionMethods.Auto, 256);
        Assert.Equal(trained.Config.Clex, ((ClexMethod)setup.Method).Weights);
    }

    [Theory]
    [InlineData("clex", TrainingMethod.Lora, "method: full trains one")]
    [InlineData("clex+logn", TrainingMethod.Full, "without modifiers")]
    [InlineData("clex@0=rope", TrainingMethod.Full, "in all layers")]
    public void What_cannot_be_trained_is_an_error(string rope, TrainingMethod method, string message)
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 3);
        var config = Config("bad", rope) with { Training = new() { OutputDir = folder["bad"], Method = method } };
        Assert.Contains(message, Assert.Throws<UserException>(() => FinetunePlan.Open(config)).Message, StringComparison.Ordinal);
    }

    private FinetuneOutcome Train(string name, int? stopAfter)
    {
        using var stop = new CancellationTokenSource();
        using var plan = FinetunePlan.Open(Config(name, "clex:max_factor=4,param_factor=2,time_dt=0.1"));
        return new FinetuneRun(plan, resume: "auto")
        {
            OnStep = step =>
            {
                if (step.Step == stopAfter)
                {
                    stop.Cancel();
                }
            },
        }.Run(stop.Token);
    }

    private RunConfig Config(string name, string rope) => new()
    {
        Model = new() { Model = folder["model"], Rope = rope, Dtype = "fp32", Device = "cpu" },
        Data = new() { Data = [folder["texts"]], CutoffLen = 64, TargetLen = 256, Positions = "clex", CacheDir = folder["cache"] },
        Training = new() { OutputDir = folder[name], MaxSteps = 6, LearningRate = 1e-2, WarmupSteps = 0 },
    };
}
