using CutoffLen.Checkpoints;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Tests.Models;
using CutoffLen.Tests.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Evaluation;

public sealed class AttentionDistributionsTests
{
    private const int Length = 96;

    // One band, several, a bias, another mask; beyond the native length of 64.
    [Theory]
    [InlineData("rope")]
    [InlineData("rerope:window=24")]
    [InlineData("alibi")]
    [InlineData("rope+bca:window=32")]
    public void Weights_are_those_of_dense_attention_whatever_the_chunk(string spec)
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config() with { NumAttentionHeads = 4, NumKeyValueHeads = 2, HeadDim = 8 };
        var method = new PositionSetup(PositionMethods.Parse(spec), config.Positions, Length).Method;
        var positions = TokenPositions.Sequential(Length);
        var generator = new Generator(7, CPU);
        var (q, k) = (randn([1, 4, Length, 8], generator: generator), randn([1, 2, Length, 8], generator: generator));
        var dense = new DenseAttention(method.Bands(positions), Floats(q), Floats(k), Floats(k), 4, 2, 8);
        using var plan = AttentionPlan.Create(method, positions, config, CPU);
        var rows = new AttentionRows(plan, q, k);
        foreach (var (start, count) in new[] { (0, Length), (0, 7), (40, 33), (95, 1) })
        {
            var weights = rows.Weights(start, count); // [H, n, keys]
            Assert.Equal([4, count, start + count], weights.shape);
            for (var (head, row) = (0, 0); head < 4; (head, row) = row + 5 < count ? (head, row + 5) : (head + 1, 0))
            {
                var expected = dense.Weights(head, start + row);
                var actual = Floats(weights[head, row]);
                Assert.All(actual.Index(), weight => Assert.Equal(expected[weight.Index], weight.Item, 2e-6));
            }
        }
    }

    [Fact]
    public void Entropy_and_divergence_are_the_definitions_over_two_forward_passes()
    {
        using var checkpoint = HuggingFaceCheckpoint.Open(Golden.Path("tiny-random-llama"));
        using var model = checkpoint.Load();
        var tokens = Enumerable.Range(0, Length).Select(n => (n * 37) % model.Config.VocabSize).ToArray();
        var (linear, rope) = (Layers(model, "linear:factor=4"), Layers(model, "rope"));
        var measured = AttentionDistributions.Measure(model, linear, rope, tokens);
        Assert.Equal(model.Config.NumHiddenLayers, measured.Entropy.Count);

        // The first layer's queries and keys are the same under both methods, so its rows follow from dense attention.
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var trace = new AttentionTrace(model, rope, tokens);
        var (_, q, k) = trace.Enter(0);
        var (entropy, divergence) = (new double[Length], new double[Length]);
        var dense = new[] { linear, rope }.Select(of => new DenseAttention(
            of.OfEveryLayer!.Bands(TokenPositions.Sequential(Length)), Floats(q), Floats(k), Floats(k),
            model.Config.NumAttentionHeads, model.Config.NumKeyValueHeads, model.Config.HeadDim)).ToArray();
        for (var row = 0; row < Length; row++)
        {
            for (var head = 0; head < model.Config.NumAttentionHeads; head++)
            {
                var (p, o) = (dense[0].Weights(head, row), dense[1].Weights(head, row));
                entropy[row] += EntropyOf(p) / model.Config.NumAttentionHeads;
                // The definition by two Kullback-Leibler divergences from the mean.
                divergence[row] += p.Zip(o).Sum(pair => Half(pair.First, pair.Second) + Half(pair.Second, pair.First)) / model.Config.NumAttentionHeads;
            }
        }

        Assert.Equal(entropy.Skip(1).Average(), measured.Entropy[0], 1e-5);
        Assert.Equal(divergence.Skip(1).Average(), measured.Divergence[0], 1e-5);
        Assert.Equal((Length, 0, 0), (measured.EntropyByPosition.Length, measured.EntropyByPosition[0], measured.DivergenceByPosition[0]));
        Assert.Equal(measured.Entropy.Average(), measured.EntropyByPosition.Skip(1).Average(), 1e-9);
        Assert.Equal(measured.Divergence.Average(), measured.DivergenceByPosition.Skip(1).Average(), 1e-9);
        Assert.All(measured.Divergence, value => Assert.InRange(value, 0, Math.Log(2)));
        Assert.All(AttentionDistributions.Measure(model, rope, rope, tokens).Divergence, value => Assert.Equal(0, value, 1e-6));

        static double EntropyOf(double[] weights) => -weights.Where(w => w > 0).Sum(w => w * Math.Log(w));
        static double Half(double p, double q) => p > 0 ? p / 2 * Math.Log(2 * p / (p + q)) : 0;
    }

    [Fact]
    public void A_trace_through_all_layers_is_the_forward_pass()
    {
        using var checkpoint = HuggingFaceCheckpoint.Open(Golden.Path("tiny-random-llama"));
        using var model = checkpoint.Load();
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var tokens = Enumerable.Range(0, Length).Select(n => (n * 37) % model.Config.VocabSize).ToArray();
        var layers = Layers(model, "linear:factor=4");
        using var plans = AttentionPlans.Create(layers, TokenPositions.Sequential(Length), model.Config, model.Device);
        var expected = model.Hidden(tensor(tokens, ScalarType.Int64).view(1, -1), plans);
        using var trace = new AttentionTrace(model, layers, tokens);
        for (var n = 0; n < model.Layers.Count; n++)
        {
            trace.Enter(n);
            trace.Leave(n);
        }

        model.FinalNorm.Forward(trace.Stream, trace.Stream, model.Workspace);
        Assert.InRange((trace.Stream - expected).abs().max().item<float>(), 0, 1e-5);
    }

    [Fact]
    public void Resolution_off_and_on_differs_by_the_block_mask_alone()
    {
        using var checkpoint = HuggingFaceCheckpoint.Open(Golden.Path("tiny-random-llama"));
        using var model = checkpoint.Load();
        var tokens = Enumerable.Range(0, Length).Select(n => (n * 37) % model.Config.VocabSize).ToArray();
        var given = AttentionResolution.OffAndOn(model, PositionMethods.Parse("linear:factor=2+bca:window=16"), tokens);
        Assert.Equal("linear:factor=2+bca:window=16", given.Bca);
        Assert.Equal(AttentionResolution.Measure(model, Layers(model, "linear:factor=2"), tokens), given.Layers);
        Assert.Equal(AttentionResolution.Measure(model, Layers(model, "linear:factor=2+bca:window=16"), tokens), given.WithBca);
        // Without the modifier its window is the native length; layers have it each.
        Assert.Equal("rope+bca:window=64@1=nope+bca:window=64", AttentionResolution.OffAndOn(model, PositionMethods.Parse("rope@1=nope"), tokens).Bca);
    }

    private static LayerPlan Layers(LlamaForCausalLM model, string spec) => model.Config.SetupFor(PositionMethods.Parse(spec), Length).Layers;

    private static float[] Floats(Tensor x) => x.contiguous().data<float>().ToArray();
}
