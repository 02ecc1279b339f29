using CutoffLen.Evaluation.Measures;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Tests.Models;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Evaluation;

public sealed class PairContributionsTests
{
    /// <summary>The first layer's queries and keys from its weights, in float64: W RMSNorm(embedding), pair by pair.</summary>
    [Theory]
    [InlineData(1.0)]
    [InlineData(0.5)]
    public void They_are_the_mean_products_of_the_norms_of_each_pair(double rotated)
    {
        var config = TinyModels.Config() with { PartialRotaryFactor = rotated };
        using var scope = NewDisposeScope();
        using var model = TinyModels.Random(config);
        int[] tokens = [5, 40, 7, 7, 60, 0, 31, 12, 9];
        var measured = PairContributions.Measure(model, new RopeMethod(config.Positions), tokens);
        var (heads, pairs) = (config.NumAttentionHeads, config.RotaryDim / 2);
        Assert.Equal(config.NumHiddenLayers * heads * pairs, measured.Length);

        var weights = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().to(ScalarType.Float64));
        double[][] Project(string name) => [.. tokens.Select(token =>
        {
            var x = weights[LlamaParameters.Embedding][token];
            var h = weights["model.layers.0.input_layernorm.weight"] * x / (x.square().mean() + config.RmsNormEps).sqrt();
            return weights[$"model.layers.0.self_attn.{name}.weight"].mv(h).data<double>().ToArray();
        })];
        var (queries, keys) = (Project("q_proj"), Project("k_proj"));
        for (var head = 0; head < heads; head++)
        {
            for (var pair = 0; pair < pairs; pair++)
            {
                double Norm(double[] vector, int of) => double.Hypot(vector[(of * config.HeadDim) + pair], vector[(of * config.HeadDim) + pair + pairs]);
                var expected = tokens.Select((_, t) => Norm(queries[t], head) * Norm(keys[t], head / 2)).Average();
                Assert.Equal(expected, measured[(head * pairs) + pair], 1e-5 * expected);
            }
        }
    }

    [Fact]
    public void Ranks_count_from_the_largest_of_each_head_and_keep_the_order_of_equal_ones() =>
        Assert.Equal([1, 0, 3, 2, 0, 1, 2, 3], PairContributions.Ranks([0.5, 0.9, 0.1, 0.2, 7, 7, 7, 7], 4));
}
