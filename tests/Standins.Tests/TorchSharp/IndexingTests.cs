using TorchSharp;
using static TorchSharp.torch;

namespace Standins.Tests.TorchSharp;

public sealed class IndexingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Positions_select()
    {
        Tensor x = arange(120).view(2, 3, 4, 5);
        Assert.Equal([3L, 4, 5], x[1].shape);
        Assert.Equal([4L, 5], x[1, 2].shape);
        Assert.Equal(119, x[1, 2, 3, 4].item<long>());
        Assert.Equal(119, x[-1, -1, -1, -1].item<long>());
        Assert.Equal(60 + 20, x[1, 1][0][0].item<long>());
    }

    [Fact]
    public void Slices_are_views_with_any_bounds()
    {
        Tensor x = arange(10);
        Assert.Equal([2L, 3, 4], x[TensorIndex.Slice(2, 5)].data<long>());
        Assert.Equal([8L, 9], x[TensorIndex.Slice(-2)].data<long>());
        Assert.Equal([0L, 3, 6, 9], x[TensorIndex.Slice(step: 3)].data<long>());
        Assert.Equal([1L, 2], x[1..3].data<long>());
        Assert.Equal([7L, 8], x[^3..^1].data<long>());
        Assert.Equal([5L, 6, 7, 8, 9], x[5..].data<long>());
        Assert.Equal(9, x[^1].item<long>());
        Assert.Empty(x[TensorIndex.Slice(20, 30)].data<long>());
        x[2..4].zero_();
        Assert.Equal(0, x[3].item<long>());
    }

    [Fact]
    public void Ellipsis_and_new_axes_mix_with_the_rest()
    {
        Tensor x = arange(24).view(2, 3, 4);
        Assert.Equal([2L, 3], x[TensorIndex.Ellipsis, 1].shape);
        Assert.Equal([1L, 2, 3, 4], x[TensorIndex.None].shape);
        Assert.Equal([2L, 3, 4, 1], x[TensorIndex.Ellipsis, TensorIndex.Null].shape);
        Assert.Equal([3L, 1, 2], x[TensorIndex.Single(0), TensorIndex.Colon, TensorIndex.None, TensorIndex.Slice(1, 3)].shape);
        Assert.Equal([1L, 2, 3, 4], x[TensorIndex.Bool(true)].shape);
        Assert.Equal([0L, 2, 3, 4], x[TensorIndex.Bool(false)].shape);
    }

    [Fact]
    public void Tensors_of_positions_pick()
    {
        Tensor x = arange(12).view(3, 4);
        Tensor rows = tensor(new long[] { 2, 0 });
        Assert.Equal([8L, 9, 10, 11, 0, 1, 2, 3], x[rows].data<long>());
        Assert.Equal([10L, 2], x[TensorIndex.Tensor(rows), 2].data<long>());
        Assert.Equal([9L, 3], x.index(rows, tensor(new long[] { 1, 3 })).data<long>());
        Assert.Equal(4, x[TensorIndex.Tensor(tensor(1L)), 0].item<long>());
        Assert.Equal([8L, 9, 10, 11], x[x > 7].data<long>());
    }

    [Fact]
    public void Writing_broadcasts_numbers_and_tensors()
    {
        Tensor x = zeros(3, 4);
        x[0] = 1f;
        x[1, 1] = 2f;
        x[TensorIndex.Colon, TensorIndex.Slice(3)] = 3f;
        x[2] = tensor(new[] { 5f, 6, 7, 8 });
        Assert.Equal([1f, 1, 1, 3, 0, 2, 0, 3, 5, 6, 7, 8], x.data<float>());
        x[1..] = ones(1, 1, 4);
        Assert.Equal(4 + 4 + 6, x.sum().ToDouble());
    }

    [Fact]
    public void Writing_through_tensors_puts_or_adds()
    {
        Tensor x = zeros(5);
        Tensor positions = tensor(new long[] { 1, 1, 3 });
        x[positions] = tensor(new[] { 1f, 1, 4 });
        Assert.Equal([0f, 1, 0, 4, 0], x.data<float>());
        x.index_put_(ones(3), [TensorIndex.Tensor(positions)], accumulate: true);
        Assert.Equal([0f, 3, 0, 5, 0], x.data<float>());
        x[x > 2] = 9f;
        Assert.Equal([0f, 9, 0, 9, 0], x.data<float>());
        x.index_put_(-1, TensorIndex.Slice(0, 2));
        Assert.Equal([-1f, -1, 0, 9, 0], x.data<float>());
    }

    [Fact]
    public void In_place_arithmetic_changes_the_tensor_and_returns_it()
    {
        Tensor x = tensor(new[] { 1f, 4, 9 });
        Assert.Same(x, x.add_(1));
        Assert.Same(x, x.mul_(2));
        Assert.Same(x, x.sub_(tensor(new[] { 1f, 1, 1 })));
        Assert.Same(x, x.div_(3));
        Assert.Equal([1f, 3, 19f / 3], x.data<float>());
        Tensor m = zeros(3);
        Tensor v = zeros(3);
        Tensor g = tensor(new[] { 1f, -2, 3 });
        m.lerp_(g, tensor(0.1f));
        v.mul_(0.9).addcmul_(g, g, 0.1);
        x.fill_(1).addcdiv_(m, v.sqrt_().add_(1e-8), -0.5);
        Tensor expected = 1 - (0.5 * 0.1 * g / (g.abs() * Math.Sqrt(0.1)));
        Assert.True(x.allclose(expected, 1e-5));
        Assert.Equal([0f, 0, 0], x.zero_().data<float>());
        Assert.Equal([1f, 0, 3], x.copy_(g).clamp_(0.ToScalar()).data<float>());
        Assert.Equal([1f, -7, 3], x.masked_fill_(x == 0, -7).data<float>());
        Assert.Equal([11f, -7, 13], x.index_add_(0, tensor(new long[] { 0, 2 }), ones(2), 10).data<float>());
        Assert.Equal([16f, -7, 13], x.scatter_add_(0, tensor(new long[] { 0 }), full(1, 5f)).data<float>());
    }
}
