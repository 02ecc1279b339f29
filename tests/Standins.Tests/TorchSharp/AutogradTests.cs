using System.Runtime.InteropServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Standins.Tests.TorchSharp;

public sealed class AutogradTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Backward_leaves_the_gradient_of_a_product()
    {
        Tensor a = tensor(new[] { 1f, 2, 3, 4 }, 2, 2).requires_grad_();
        Tensor b = tensor(new[] { 5f, 6, 7, 8 }, 2, 2).requires_grad_();
        a.matmul(b).sum().backward();
        AssertClose(ones(2, 2).matmul(b.t()), a.grad!);
        AssertClose(a.t().matmul(ones(2, 2)), b.grad!);
    }

    [Fact]
    public void Backward_takes_a_gradient_of_the_output_and_adds_up()
    {
        Tensor x = tensor(new[] { 1f, 2, 3 }, requires_grad: true);
        Tensor weight = tensor(new[] { 1f, 10, 100 });
        (x * x).backward([weight]);
        (x * x).backward([weight]);
        AssertClose(4 * x.detach() * weight, x.grad!);
    }

    [Fact]
    public void Backward_twice_needs_the_graph_to_be_kept()
    {
        Tensor x = ones(2, requires_grad: true);
        Tensor y = (x * x).sum();
        y.backward(retain_graph: true);
        y.backward();
        AssertClose(full(2, 4.0), x.grad!);
        Assert.Throws<ExternalException>(() => y.backward());
    }

    [Fact]
    public void Only_the_named_inputs_get_gradients()
    {
        Tensor x = ones(2, requires_grad: true);
        Tensor y = ones(2, requires_grad: true);
        (x * y).sum().backward(inputs: [x]);
        Assert.NotNull(x.grad);
        Assert.Null(y.grad);
    }

    [Fact]
    public void Grad_returns_gradients_and_leaves_none()
    {
        Tensor x = tensor(new[] { 2f, 3 }, requires_grad: true);
        IList<Tensor> gradients = autograd.grad([x.pow(3).sum()], [x], create_graph: true);
        AssertClose(tensor(new[] { 12f, 27 }), gradients[0]);
        IList<Tensor> second = autograd.grad([gradients[0].sum()], [x]);
        AssertClose(tensor(new[] { 12f, 18 }), second[0]);
        Assert.Null(x.grad);
    }

    [Fact]
    public void A_gradient_can_be_set_and_taken_away()
    {
        Tensor x = ones(2, requires_grad: true);
        x.grad = full(2, 5.0);
        AssertClose(full(2, 5.0), x.grad!);
        x.grad = null;
        Assert.Null(x.grad);
    }

    [Fact]
    public void No_grad_holds_until_disposed_and_nests()
    {
        Tensor x = ones(2, requires_grad: true);
        using (no_grad())
        {
            Assert.False(is_grad_enabled());
            Assert.False((x * 2).requires_grad);
            using (enable_grad())
            {
                Assert.True((x * 2).requires_grad);
            }

            Assert.False(is_grad_enabled());
            using (set_grad_enabled(true))
            {
                Assert.True(is_grad_enabled());
            }
        }

        Assert.True(is_grad_enabled());
        using (inference_mode())
        {
            Assert.True(is_inference_mode_enabled());
            Assert.False((x * 2).requires_grad);
        }

        Assert.False(is_inference_mode_enabled());
    }

    [Fact]
    public void Leaves_and_their_like_are_told_apart()
    {
        Tensor x = ones(2, requires_grad: true);
        Tensor y = x * 2;
        y.retain_grad();
        y.sum().backward();
        Assert.True(x.is_leaf);
        Assert.False(y.is_leaf);
        Assert.True(x.detach().is_leaf);
        Assert.False(x.detach().requires_grad);
        AssertClose(ones(2), y.grad!);
        AssertClose(full(2, 2.0), x.grad!);
    }

    [Fact]
    public void The_chain_rule_can_be_cut_and_joined_by_hand()
    {
        Tensor x = randn(4, 8, requires_grad: true);
        Tensor w = randn(8, 8, requires_grad: true);
        x.matmul(w).tanh().pow(2).sum().backward();
        Tensor expectedX = x.grad!;
        Tensor expectedW = w.grad!;
        x.grad = null;
        w.grad = null;

        Tensor first = x.matmul(w);
        Tensor cut = first.detach().requires_grad_();
        cut.tanh().pow(2).sum().backward();
        first.backward([cut.grad!]);

        Assert.True(expectedX.Equals(x.grad!));
        Assert.True(expectedW.Equals(w.grad!));
    }

    [Fact]
    public void Errors_of_the_engine_are_exceptions()
    {
        Assert.Contains("does not require grad", Assert.Throws<ExternalException>(() => ones(1).backward()).Message);
        Tensor x = ones(2, requires_grad: true);
        Assert.Contains("scalar outputs", Assert.Throws<ExternalException>(() => (x * 2).backward()).Message);
        Assert.Contains("shape", Assert.Throws<ExternalException>(() => (x * 2).backward([ones(3)])).Message);
    }

    [Fact]
    public void Anomaly_mode_is_on_until_disposed()
    {
        Assert.False(AnomalyMode.IsEnabled);
        using (autograd.detect_anomaly(check_nan: false))
        {
            Assert.True(AnomalyMode.IsEnabled);
            Assert.False(AnomalyMode.ShouldCheckNaN);
        }

        Assert.False(AnomalyMode.IsEnabled);
    }

    private static void AssertClose(Tensor expected, Tensor actual) =>
        Assert.True(actual.allclose(expected.to(actual.dtype)), $"{string.Join(' ', actual.to(float64).data<double>())}");
}
