using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Standins.Tests.TorchSharp;

/// <summary>scaled_dot_product_attention against softmax(q kᵀ / √E + mask) v written out in float64.</summary>
public sealed class AttentionTests : IDisposable
{
    private const double Float32Tolerance = 1e-5;
    private const double BFloat16Tolerance = 0.03; // 8 bits: 2^-7 of values up to about 3

    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Theory]
    [InlineData("none")]
    [InlineData("causal")]
    [InlineData("bool")]
    [InlineData("float")]
    [InlineData("broadcast")]
    public void Attention_and_its_gradients_are_the_formula(string masking)
    {
        manual_seed(3);
        Tensor[] inputs = [randn(2, 3, 17, 16), randn(2, 3, 17, 16), randn(2, 3, 17, 16)];
        Tensor upstream = randn(2, 3, 17, 16);
        Tensor? mask = Mask(masking, 17, 17);

        (Tensor actual, Tensor[] actualGradients) = WithGradients(
            inputs, upstream, (q, k, v) => F.scaled_dot_product_attention(q, k, v, mask, is_casual: masking == "causal"));
        Tensor? doubleMask = mask is null || mask.dtype == ScalarType.Bool ? mask : mask.to(float64);
        (Tensor expected, Tensor[] expectedGradients) = WithGradients(
            Array.ConvertAll(inputs, input => input.to(float64)), upstream.to(float64), (q, k, v) => Formula(q, k, v, doubleMask, masking == "causal"));

        AssertClose(expected, actual, Float32Tolerance);
        for (int i = 0; i < 3; i++)
        {
            AssertClose(expectedGradients[i], actualGradients[i], Float32Tolerance);
        }
    }

    [Fact]
    public void Queries_and_keys_may_differ_in_number()
    {
        manual_seed(4);
        Tensor q = randn(1, 2, 5, 8);
        Tensor k = randn(1, 2, 9, 8);
        Tensor v = randn(1, 2, 9, 4);
        AssertClose(Formula(q.to(float64), k.to(float64), v.to(float64), null, false), F.scaled_dot_product_attention(q, k, v), Float32Tolerance);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void In_bfloat16_the_accuracy_is_bfloat16s(bool causal)
    {
        manual_seed(5);
        Tensor[] inputs = Enumerable.Range(0, 3).Select(_ => randn(2, 2, 24, 16, bfloat16)).ToArray();
        Tensor upstream = randn(2, 2, 24, 16, bfloat16);
        (Tensor actual, Tensor[] actualGradients) = WithGradients(
            inputs, upstream, (q, k, v) => F.scaled_dot_product_attention(q, k, v, is_casual: causal));
        (Tensor expected, Tensor[] expectedGradients) = WithGradients(
            Array.ConvertAll(inputs, input => input.to(float64)), upstream.to(float64), (q, k, v) => Formula(q, k, v, null, causal));

        Assert.Equal(bfloat16, actual.dtype);
        AssertClose(expected, actual, BFloat16Tolerance);
        for (int i = 0; i < 3; i++)
        {
            AssertClose(expectedGradients[i], actualGradients[i], BFloat16Tolerance);
        }
    }

    [Fact]
    public void Dropout_clears_weights_and_scales_the_others()
    {
        manual_seed(6);
        Tensor q = zeros(1, 1, 200, 4);
        Tensor v = ones(1, 1, 200, 4);
        Tensor outputs = F.scaled_dot_product_attention(q, q, v, p: 0.5);
        Assert.Equal(1, outputs.mean().ToDouble(), 0.05);
        Assert.True(outputs.std().ToDouble() > 0.01);
    }

    [Fact]
    public void A_mask_beside_the_causal_one_is_refused()
    {
        Tensor q = ones(1, 1, 2, 2);
        Assert.Throws<ArgumentException>(() => F.scaled_dot_product_attention(q, q, q, ones(2, 2), is_casual: true));
        Assert.Throws<ArgumentException>(() => F.scaled_dot_product_attention(q, q, q, p: -1));
    }

    private static Tensor? Mask(string kind, long queries, long keys) => kind switch
    {
        "bool" => (rand(2, 3, queries, keys) > 0.4) | eye(queries, keys).to(ScalarType.Bool),
        "float" => randn(2, 3, queries, keys),
        "broadcast" => randn(queries, keys),
        _ => null,
    };

    private static Tensor Formula(Tensor q, Tensor k, Tensor v, Tensor? mask, bool causal)
    {
        Tensor scores = q.matmul(k.transpose(-2, -1)) / Math.Sqrt(q.shape[^1]);
        if (causal)
        {
            mask = ones(q.shape[^2], k.shape[^2]).tril().to(ScalarType.Bool);
        }

        if (mask is not null)
        {
            scores = mask.dtype == ScalarType.Bool ? where(mask, scores, tensor(double.NegativeInfinity)) : scores + mask;
        }

        Tensor weights = (scores - scores.max(-1, true).values).exp();
        return (weights / weights.sum(-1, true)).matmul(v);
    }

    private static (Tensor Output, Tensor[] Gradients) WithGradients(Tensor[] inputs, Tensor upstream, Func<Tensor, Tensor, Tensor, Tensor> attention)
    {
        Tensor[] leaves = Array.ConvertAll(inputs, input => input.detach().requires_grad_());
        Tensor output = attention(leaves[0], leaves[1], leaves[2]);
        output.backward([upstream]);
        return (output.detach(), Array.ConvertAll(leaves, leaf => leaf.grad!));
    }

    private static void AssertClose(Tensor expected, Tensor actual, double tolerance)
    {
        double worst = (actual.to(float64) - expected).abs().max().ToDouble();
        double scale = Math.Max(1, expected.abs().max().ToDouble());
        Assert.True(worst <= tolerance * scale, $"off by {worst:G3}, allowed {tolerance * scale:G3}");
    }
}
