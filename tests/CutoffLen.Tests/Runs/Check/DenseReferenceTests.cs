using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs.Check;
using CutoffLen.Tests.Models;
using CutoffLen.Tests.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Runs.Check;

public sealed class DenseReferenceTests
{
    private const int Length = 70; // beyond the native length

    private static readonly LlamaConfig Config = TinyModels.ForEveryMethod;

    [Theory]
    [MemberData(nameof(MethodPropertyTests.Specs), MemberType = typeof(MethodPropertyTests))]
    public void Its_attention_is_the_sum_over_pairs(string spec)
    {
        using var scope = NewDisposeScope();
        var bands = MethodPropertyTests.Create(spec).Bands(TokenPositions.Sequential(Length));
        var generator = new Generator(3);
        var (q, k, v) = (Draw(Config.NumAttentionHeads), Draw(Config.NumKeyValueHeads), Draw(Config.NumKeyValueHeads));
        var output = DenseReference.Attend(MethodPropertyTests.Create(spec), TokenPositions.Sequential(Length), Config, Float64(q), Float64(k), Float64(v));

        var pairs = new Positions.DenseAttention(bands, Values(q), Values(k), Values(v), Config.NumAttentionHeads, Config.NumKeyValueHeads, Config.HeadDim);
        var actual = output.contiguous().data<double>().ToArray();
        foreach (var (head, i) in from head in Enumerable.Range(0, Config.NumAttentionHeads) from i in new[] { 0, 33, Length - 1 } select (head, i))
        {
            var expected = pairs.Output(head, pairs.Weights(head, i));
            var first = ((head * Length) + i) * Config.HeadDim;
            for (var d = 0; d < Config.HeadDim; d++)
            {
                Assert.Equal(expected[d], actual[first + d], 1e-12);
            }
        }

        Tensor Draw(int heads) => randn([1, heads, Length, Config.HeadDim], generator: generator);
        static Tensor Float64(Tensor x) => x.to(ScalarType.Float64);
        static float[] Values(Tensor x) => x.data<float>().ToArray();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Its_gradients_are_differences_of_its_loss(bool tied)
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config(tied: tied);
        using var model = TinyModels.Random(config);
        var weights = model.named_parameters().Select(p => (p.name, Tensor: p.parameter.detach().to(ScalarType.Float64))).ToList();
        var (method, positions) = (new RopeMethod(config.Positions), TokenPositions.Packed([4, 6]));
        var (tokens, targets) = (TinyModels.Tokens(config, 1, 10), TinyModels.Tokens(config, 1, 10, seed: 8));
        var pass = new DenseReference(config, weights).Run(method, positions, tokens, targets);
        Assert.Equal(weights.Select(weight => weight.name), pass.Gradients.Keys);

        const double step = 1e-5;
        using var generator = new Generator(3);
        var directions = weights.ConvertAll(weight => randn(weight.Tensor.shape, ScalarType.Float64, generator: generator));
        var expected = (LossAt(step) - LossAt(-step)) / (2 * step);
        var actual = weights.Zip(directions, (weight, direction) => (pass.Gradients[weight.name] * direction).sum().item<double>()).Sum();
        Assert.Equal(expected, actual, 1e-5 * Math.Abs(expected));

        double LossAt(double at) => new DenseReference(config, weights.Zip(directions, (weight, direction) => (weight.name, weight.Tensor + (direction * at))))
            .Run(method, positions, tokens, targets).Loss;
    }
}
