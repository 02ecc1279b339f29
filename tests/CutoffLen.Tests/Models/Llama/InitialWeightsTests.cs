using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Llama;

public sealed class InitialWeightsTests
{
    private static readonly LlamaConfig Config = new()
    {
        VocabSize = 300,
        HiddenSize = 128,
        IntermediateSize = 200,
        NumHiddenLayers = 2,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 2,
        HeadDim = 32,
        MaxPositionEmbeddings = 64,
        QkvBias = true,
        InitializerRange = 0.05,
    };

    [Fact]
    public void Matrices_are_normal_with_the_configured_spread_norms_one_and_biases_zero()
    {
        using var scope = NewDisposeScope();
        foreach (var (name, weight) in InitialWeights.Draw(Config, seed: 3))
        {
            var (mean, spread, count) = (weight.mean().item<float>(), weight.std().item<float>(), weight.numel());
            if (weight.dim() == 1)
            {
                Assert.Equal(name.EndsWith("bias", StringComparison.Ordinal) ? 0f : 1f, mean);
                Assert.Equal(0f, spread);
                continue;
            }

            // Five standard errors of mean and of standard deviation.
            Assert.InRange(mean, -5 * 0.05 / Math.Sqrt(count), 5 * 0.05 / Math.Sqrt(count));
            Assert.InRange(spread, 0.05 * (1 - (5 / Math.Sqrt(2 * count))), 0.05 * (1 + (5 / Math.Sqrt(2 * count))));
        }
    }

    [Fact]
    public void Every_parameter_of_the_network_is_there_once_and_no_two_are_alike()
    {
        using var scope = NewDisposeScope();
        var drawn = InitialWeights.Draw(Config, seed: 3).ToList();
        Assert.Equal(LlamaParameters.Of(Config).Select(parameter => parameter.Name), drawn.Select(weight => weight.Name));
        var matrices = drawn.Where(weight => weight.Tensor.dim() == 2).ToList();
        Assert.Equal(matrices.Count, matrices.Select(weight => weight.Tensor[0, 0].item<float>()).Distinct().Count());
    }

    [Fact]
    public void The_seed_decides()
    {
        using var scope = NewDisposeScope();
        Tensor First(long seed) => InitialWeights.Draw(Config, seed).First().Tensor;
        Assert.True(First(3).equal(First(3)).all().item<bool>());
        Assert.False(First(3).equal(First(4)).all().item<bool>());
    }
}
