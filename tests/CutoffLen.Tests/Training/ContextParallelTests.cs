using CutoffLen.Checkpoints.Lora;
using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Memory;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.PositionIds;
using CutoffLen.Runs.Check;
using CutoffLen.Tests.Distributed;
using CutoffLen.Tests.Models;
using CutoffLen.Tests.Positions.Methods;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

/// <summary>Losses and gradients of ranks that share each sequence, summed, against those of one rank and of plain formulas in float64.</summary>
public sealed class ContextParallelTests
{
    private const double Bound = 1e-5; // of the largest element of each gradient

    private static readonly AdapterConfig Lora = new(4, 16, 0.3, ModuleSelection.Named("q_proj", "k_proj", "down_proj"), ["embed_tokens", "norm"], UseRslora: false);

    public static TheoryData<string> Samplers => [.. PositionIdSamplers.Names];

    [Theory]
    [MemberData(nameof(MethodPropertyTests.Specs), MemberType = typeof(MethodPropertyTests))]
    public void Gradients_are_those_of_plain_formulas_and_of_one_rank_under_every_method(string spec)
    {
        var method = MethodPropertyTests.Create(spec);
        AssertSame(new Case(TinyModels.ForEveryMethod, method, [TokenPositions.Sequential(72), TokenPositions.Sequential(72)]), ranks: 2);
        AssertSame(new Case(TinyModels.ForEveryMethod, method, [TokenPositions.Packed([40, 1, 30])]) { Path = AttentionPath.Sdpa, Recompute = Recompute.Layers }, ranks: 4);
    }

    [Theory]
    [InlineData("rope@1=nope", AttentionPath.Sdpa, 2)]
    [InlineData("rerope:window=16+bca@0=dynamic-ntk:factor=2", AttentionPath.Sdpa, 2)] // one layer fused, one blocked
    [InlineData("entropy-abf", AttentionPath.Blocked, 3)]
    [InlineData("xpos:scale_base=1@1=rope+temperature@2=alibi", AttentionPath.Blocked, 3)]
    public void Gradients_are_those_of_plain_formulas_and_of_one_rank_where_layers_have_different_methods(string spec, AttentionPath path, int count)
    {
        var config = TinyModels.ForEveryMethod with { NumHiddenLayers = count };
        var layers = config.SetupFor(PositionMethods.Parse(spec), 4 * config.MaxPositionEmbeddings).Layers;
        AssertSame(new Case(config, layers, [TokenPositions.Sequential(72), TokenPositions.Sequential(72)]) { Path = path }, ranks: 2);
        AssertSame(new Case(config, layers, [TokenPositions.Packed([40, 1, 30])]) { Path = path, Recompute = Recompute.Layers }, ranks: 4);
    }

    [Theory]
    [MemberData(nameof(Samplers))]
    public void Gradients_are_the_same_under_every_position_id_sampler(string positions)
    {
        var config = TinyModels.Config();
        var sampler = PositionIdSamplers.Parse(positions);
        TokenPositions Sampled(int row) => sampler.Sample(TokenPositions.Packed([20, 28]), 96, new PositionDraw(1, 2, row), [7, 30]);
        foreach (var path in Enum.GetValues<AttentionPath>())
        {
            AssertSame(new Case(config, new RopeMethod(config.Positions), [Sampled(0), Sampled(1)]) { Path = path }, ranks: 2);
        }
    }

    [Theory]
    [InlineData(Recompute.None, false)]
    [InlineData(Recompute.Mlp, false)]
    [InlineData(Recompute.Layers, true)]
    public void Neither_recomputation_nor_offloading_changes_a_bit(Recompute recompute, bool offload)
    {
        var config = TinyModels.Config(layers: 3);
        var kept = new Case(config, new RopeMethod(config.Positions), [TokenPositions.Sequential(48)]);
        Assert.Equal(Summed(kept, 2).Gradients, Summed(kept with { Recompute = recompute, Offload = offload }, 2).Gradients);
    }

    [Theory]
    [InlineData(2)]
    [InlineData(4)]
    public void Adapters_have_the_gradients_and_the_dropout_of_one_rank(int ranks)
    {
        var config = TinyModels.Config();
        AssertSame(new Case(config, new RopeMethod(config.Positions), [TokenPositions.Sequential(70), TokenPositions.Sequential(70)]) { Lora = Lora }, ranks);
    }

    [Fact]
    public void Bfloat16_is_as_near_to_float64_as_on_one_rank()
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config(layers: 3);
        var inBfloat16 = new Case(config, new RopeMethod(config.Positions), [TokenPositions.Sequential(72)]) { Dtype = ScalarType.BFloat16 };
        var expected = Formulas(inBfloat16).Gradients;
        var (one, four) = (Away(Summed(inBfloat16, 1)), Away(Summed(inBfloat16, 4)));
        Assert.True(four > 1e-4 && four < 1.2 * one, $"gradients of 4 ranks are {four} away, of one {one}");

        double Away(Pass pass) => expected.Average(pair => ((tensor(pass.Gradients[pair.Key]).view_as(pair.Value) - pair.Value).norm() / pair.Value.norm()).item<double>());
    }

    [Theory]
    [InlineData(2, ScalarType.Float32)]
    [InlineData(4, ScalarType.BFloat16)]
    public void A_rank_receives_the_bytes_that_are_planned(int ranks, ScalarType dtype)
    {
        var config = TinyModels.Config(layers: 3);
        var run = new Case(config, new RopeMethod(config.Positions), [TokenPositions.Sequential(48), TokenPositions.Sequential(48)]) { Dtype = dtype };
        var settings = new MemorySettings(48, BandShape.Of(run.Layers)) { BatchSize = 2, ContextParallelSize = ranks, Width = dtype == ScalarType.Float32 ? 4 : 2 };
        var received = ThreadCollectives.Run(ranks, context =>
        {
            using var model = run.Model();
            run.Backpropagate(model, context);
            return context.ReceivedBytes;
        });
        Assert.All(received, bytes => Assert.Equal(StepTraffic.ContextParallelBytes(config, settings), bytes));
    }

    [Fact]
    public void A_rank_has_its_share_of_the_memory_and_three_buffers_of_all_keys()
    {
        const int length = 2048; // one chunk of dense parts
        var config = TinyModels.Config(layers: 3);
        var run = new Case(config, new RopeMethod(config.Positions), [TokenPositions.Sequential(length)]) { Path = AttentionPath.Sdpa };
        long gathered = 3L * length * config.NumKeyValueHeads * config.HeadDim * sizeof(float);
        Assert.InRange(Workspace(4) - gathered, 0.99 * Workspace(1) / 4, 1.01 * Workspace(1) / 4);

        long Workspace(int ranks) => ThreadCollectives.Run(ranks, context =>
        {
            using var model = run.Model();
            run.Backpropagate(model, ranks == 1 ? null : context);
            return model.Network.Workspace.Bytes;
        }).Max();
    }

    /// <summary>Sequences, a model, and how it is trained.</summary>
    private sealed record Case(LlamaConfig Config, LayerPlan Layers, IReadOnlyList<TokenPositions> Rows)
    {
        public AttentionPath Path { get; init; }

        public Recompute Recompute { get; init; }

        public bool Offload { get; init; }

        public AdapterConfig? Lora { get; init; }

        public ScalarType Dtype { get; init; } = ScalarType.Float32;

        public int Length => Rows[0].Length;

        public int Targets => (Rows.Count * Length) - 1;

        public TrainableModel Model()
        {
            using var scope = NewDisposeScope();
            using var random = TinyModels.Random(Config, Dtype);
            var weights = random.named_parameters().ToDictionary(weight => weight.name, weight => (Tensor)weight.parameter);
            return Lora is null
                ? TrainableModel.Full(Config, (name, _) => weights[name], Dtype, CPU)
                : LoraTests.Disturbed(Lora, Config);
        }

        /// <summary>The summed loss in nats of a rank's tokens; its gradients are the model's.</summary>
        public double Backpropagate(TrainableModel model, ICollectives? context)
        {
            using var scope = NewDisposeScope();
            using var batches = new MicroBatches(Layers, model.Network, Path, context);
            var batch = batches.Of([.. Rows.Select((positions, row) => new PositionedSequence(
                new TrainingSequence(Of(Tokens(7), row), Of(WithoutOne(Tokens(8)), row), positions, 0, []), positions))]);
            using var dropout = model.Adapters?.Dropout.For(3, 10, batch.TokenIndices);
            var backprop = Offload
                ? new LayerwiseBackprop(
                    model.Network, Recompute, model.Parameters.GradientView("model.embed_tokens.weight"), model.Parameters.GradientView("lm_head.weight"), CPU)
                : model.Backprop(Recompute);
            return backprop.Run(batch.Tokens, batch.Targets, batch.Plans, 1.0 / Targets).item<double>();
        }

        public Tensor Tokens(int seed) => TinyModels.Tokens(Config, Rows.Count, Length, seed);

        public static Tensor WithoutOne(Tensor targets)
        {
            targets[0, 3] = TrainingSequence.Ignore;
            return targets;
        }

        private static int[] Of(Tensor tokens, int row) => Array.ConvertAll(tokens[row].data<long>().ToArray(), token => (int)token);
    }

    private sealed record Pass(double Loss, IReadOnlyDictionary<string, double[]> Gradients);

    private static void AssertSame(Case run, int ranks)
    {
        using var scope = NewDisposeScope();
        var (one, several) = (Summed(run, 1), Summed(run, ranks));
        AssertNear(one, several);
        if (run.Lora is null && run.Rows.All(row => row.Ids.SequenceEqual(run.Rows[0].Ids)))
        {
            var formulas = Formulas(run);
            AssertNear(new Pass(formulas.Loss * run.Targets, formulas.Gradients.ToDictionary(pair => pair.Key, pair => pair.Value.contiguous().data<double>().ToArray())), several);
        }
    }

    private static void AssertNear(Pass expected, Pass actual)
    {
        Assert.Equal(expected.Loss, actual.Loss, 1e-6 * expected.Loss);
        Assert.Equal(expected.Gradients.Keys.Order(), actual.Gradients.Keys.Order());
        foreach (var (name, gradient) in expected.Gradients)
        {
            var largest = gradient.Max(Math.Abs);
            Assert.True(largest > 0, $"{name} has no gradient");
            var away = gradient.Zip(actual.Gradients[name], (right, ours) => Math.Abs(right - ours)).Max() / largest;
            Assert.True(away < Bound, $"the gradient of {name} is {away} away, relative to its largest element");
        }
    }

    private static DensePass Formulas(Case run)
    {
        using var model = run.Model();
        return new DenseReference(run.Config, model.Weights()).Run(run.Layers, run.Rows[0], run.Tokens(7), Case.WithoutOne(run.Tokens(8)));
    }

    /// <summary>Loss and gradients of all ranks, added up.</summary>
    private static Pass Summed(Case run, int ranks)
    {
        var passes = ThreadCollectives.Run(ranks, context =>
        {
            using var scope = NewDisposeScope();
            using var model = run.Model();
            var loss = run.Backpropagate(model, ranks == 1 ? null : context);
            context.AllReduce(model.Parameters.Gradients);
            return new Pass(loss, model.Parameters.Names.ToDictionary(name => name, name => model.Parameters.GradientView(name).to(ScalarType.Float64).contiguous().data<double>().ToArray()));
        });
        return passes[0] with { Loss = passes.Sum(pass => pass.Loss) };
    }
}
