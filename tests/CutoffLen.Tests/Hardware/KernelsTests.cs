using CutoffLen.Hardware;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Tests.Hardware;

/// <summary>Each kernel against the plain formula and, where it is a backward pass, against autograd, in float64.</summary>
public sealed class KernelsTests
{
    public static TheoryData<ScalarType, int> Cases => new()
    {
        { ScalarType.Float32, 1 }, { ScalarType.Float32, 37 }, { ScalarType.BFloat16, 1 }, { ScalarType.BFloat16, 37 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Products_are_written_where_they_are_wanted(ScalarType dtype, int rows)
    {
        using var scope = NewDisposeScope();
        var (a, b, c) = (Draw(dtype, 1, rows, 24), Draw(dtype, 2, 24, 10), Draw(dtype, 3, rows, 10));
        var output = empty([rows, 10], dtype);
        Kernels.Matmul(a, b, output);
        Near(Exact(a).mm(Exact(b)), output);
        Kernels.MatmulAdded(c, a, b, output);
        Near(Exact(c) + Exact(a).mm(Exact(b)), output);
        Kernels.MatmulAdded(output, a, b, output);
        Near(Exact(c) + (Exact(a).mm(Exact(b)) * 2), output);

        var (p, q) = (Draw(dtype, 4, 3, rows, 24), Draw(dtype, 5, 3, 24, 10));
        var wide = zeros([3, rows, 20], dtype);
        Kernels.BatchedMatmul(p, q, wide.narrow(-1, 5, 10));
        Kernels.BatchedMatmulAdded(wide.narrow(-1, 5, 10), p, q, wide.narrow(-1, 5, 10));
        Near(pad(Exact(p).bmm(Exact(q)) * 2, [5, 5]), wide);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Rms_norm_and_its_gradients(ScalarType dtype, int rows)
    {
        using var scope = NewDisposeScope();
        var (x, weight, upstream) = (Draw(dtype, 1, rows, 24), Draw(dtype, 2, 24), Draw(dtype, 3, rows, 24));
        var (exactX, exactWeight) = (Exact(x).requires_grad_(), Exact(weight).requires_grad_());
        var expected = exactWeight * exactX / (exactX.square().mean([-1], keepdim: true) + 1e-3).sqrt();
        expected.backward([Exact(upstream)]);

        using var noGrad = no_grad();
        var (inverse, output) = (empty(rows, 1), empty_like(x));
        Kernels.RmsNorm(x, weight, 1e-3, inverse, output);
        Near(expected, output);
        var (weightGradient, gradient) = (ones_like(weight), Draw(dtype, 4, rows, 24));
        var before = Exact(gradient);
        Kernels.RmsNormBackward(upstream, x, weight, inverse, (empty(rows, 24), empty(rows, 24)), weightGradient, gradient);
        Near(before + exactX.grad!, gradient);
        Near(1 + exactWeight.grad!, weightGradient);
        Kernels.RmsNormBackward(upstream, x, weight, inverse, (empty(rows, 24), empty(rows, 24)), null, gradient);
        Near(before + (exactX.grad! * 2), gradient);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void SwiGlu_and_its_gradients(ScalarType dtype, int rows)
    {
        using var scope = NewDisposeScope();
        var (gate, up, upstream) = (Draw(dtype, 1, rows, 24), Draw(dtype, 2, rows, 24), Draw(dtype, 3, rows, 24));
        var (exactGate, exactUp) = (Exact(gate).requires_grad_(), Exact(up).requires_grad_());
        var expected = silu(exactGate) * exactUp;
        expected.backward([Exact(upstream)]);

        using var noGrad = no_grad();
        var (output, upGradient) = (empty_like(gate), empty_like(gate));
        Kernels.SwiGlu(gate, up, output);
        Near(expected, output);
        Kernels.SwiGluBackward(upstream, gate, up, upGradient);
        Near(exactGate.grad!, upstream);
        Near(exactUp.grad!, upGradient);
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void A_rotation_and_its_reverse(ScalarType dtype, int rows)
    {
        using var scope = NewDisposeScope();
        var x = Draw(dtype, 1, 2, rows, 3, 8).transpose(1, 2); // [B, H, T, D], a token's heads together
        var angles = Draw(ScalarType.Float32, 2, rows, 4);
        var rotated = empty([2, 3, rows, 8]);
        Kernels.Rotate(x, angles.cos(), angles.sin(), 1, rotated);
        var turned = view_as_complex(stack([Exact(x).narrow(-1, 0, 4), Exact(x).narrow(-1, 4, 4)], -1).contiguous())
            * polar(ones_like(Exact(angles)), Exact(angles));
        Near(cat([turned.real, turned.imag], -1), rotated);
        var back = empty([2, 3, rows, 8]);
        Kernels.Rotate(rotated, angles.cos(), angles.sin(), -1, back);
        Near(x, back, 1e-5);
    }

    [Fact]
    public void Log_softmax_in_place()
    {
        using var scope = NewDisposeScope();
        var x = Draw(ScalarType.Float32, 1, 5, 1000) * 30;
        var expected = Exact(x) - Exact(x).logsumexp(-1, keepdim: true);
        Kernels.LogSoftmaxInPlace(x);
        Near(expected, x);
    }

    [Fact]
    public void Rows_of_an_embedding()
    {
        using var scope = NewDisposeScope();
        var (weight, output) = (Draw(ScalarType.BFloat16, 1, 9, 4), empty([3, 4], ScalarType.BFloat16));
        Kernels.Embedding(weight, tensor(new long[] { 8, 0, 8 }), output);
        Assert.True(output.eq(stack([weight[8], weight[0], weight[8]])).all().item<bool>());
    }

    [Theory]
    [InlineData(ScalarType.Float32, 1, 1)]
    [InlineData(ScalarType.Float32, 4, 200)]
    [InlineData(ScalarType.BFloat16, 2, 70)]
    public void Flash_attention_merged_over_two_parts_of_the_keys_and_its_gradients(ScalarType dtype, int group, int length)
    {
        using var scope = NewDisposeScope();
        const int keyHeads = 2, before = 33;
        var (q, upstream) = (Draw(dtype, 1, 1, keyHeads * group, length, 16), Draw(dtype, 2, 1, keyHeads * group, length, 16));
        var (k, v) = (Draw(dtype, 3, 1, keyHeads, before + length, 16), Draw(dtype, 4, 1, keyHeads, before + length, 16));
        var leaves = new[] { q, k, v }.Select(x => Exact(x).requires_grad_()).ToArray();
        var scores = leaves[0].matmul(leaves[1].repeat_interleave(group, 1).transpose(-1, -2)) / 4;
        var hidden = full([length, before + length], double.NegativeInfinity, ScalarType.Float64).triu(before + 1);
        var expected = (scores + hidden).softmax(-1).matmul(leaves[2].repeat_interleave(group, 1));
        expected.backward([Exact(upstream)]);

        using var noGrad = no_grad();
        var (early, late) = ((Func<Tensor, Tensor>)(x => x.narrow(2, 0, before)), (Func<Tensor, Tensor>)(x => x.narrow(2, before, length)));
        var (output, kept) = Kernels.FlashAttention(q, late(k), late(v), causal: true);
        var (other, otherKept) = Kernels.FlashAttention(q, early(k), early(v), causal: false);
        Kernels.MergeAttention(output, kept[0], other, otherKept[0]);
        Near(expected, output);
        Near((scores + hidden).logsumexp(-1), kept[0], dtype == ScalarType.Float32 ? 1e-5 : 2e-2);

        var (lateQueries, lateKeys, lateValues) = Kernels.FlashAttentionBackward(upstream, q, late(k), late(v), output, causal: true, kept);
        var (earlyQueries, earlyKeys, earlyValues) = Kernels.FlashAttentionBackward(upstream, q, early(k), early(v), output, causal: false, kept);
        Near(leaves[0].grad!, lateQueries + earlyQueries);
        Near(leaves[1].grad!, cat([earlyKeys, lateKeys], 2));
        Near(leaves[2].grad!, cat([earlyValues, lateValues], 2));
    }

    private static Tensor Draw(ScalarType dtype, int seed, params long[] shape) => randn(shape, generator: new Generator((ulong)seed)).to(dtype);

    private static Tensor Exact(Tensor x) => x.detach().to(ScalarType.Float64);

    /// <summary>Near in norm: to some bits of float32, or of bfloat16.</summary>
    private static void Near(Tensor expected, Tensor actual, double? tolerance = null)
    {
        var away = ((Exact(actual) - Exact(expected)).norm() / Exact(expected).norm()).item<double>();
        Assert.True(away < (tolerance ?? (actual.dtype == ScalarType.Float32 ? 1e-6 : 1e-2)), $"{away} away");
    }
}
