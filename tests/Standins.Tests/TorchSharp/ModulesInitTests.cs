using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.init;

namespace Standins.Tests.Modules;

public sealed class ModulesInitTests
{
    [Fact]
    public void Values_are_set_in_place_even_where_gradients_are_wanted()
    {
        using var parameter = new Parameter(empty(2, 2));
        Assert.Same(parameter, ones_(parameter));
        Assert.Equal([1f, 1f, 1f, 1f], parameter.data<float>().ToArray());
        zeros_(parameter);
        Assert.Equal([0f, 0f, 0f, 0f], parameter.data<float>().ToArray());
        constant_(parameter, 2.5);
        Assert.Equal([2.5f, 2.5f, 2.5f, 2.5f], parameter.data<float>().ToArray());
        Assert.True(parameter.requires_grad);
        Assert.True(parameter.is_leaf);
    }

    [Fact]
    public void The_fans_of_a_weight_are_its_second_and_first_size()
    {
        Assert.Equal((3, 2), CalculateFanInAndFanOut(empty(2, 3)));
        Assert.Equal((60, 40), CalculateFanInAndFanOut(empty(2, 3, 4, 5)));
        Assert.Throws<ArgumentException>(() => CalculateFanInAndFanOut(empty(3)));
    }

    [Theory]
    [InlineData(NonlinearityType.Linear, 1.0)]
    [InlineData(NonlinearityType.Conv2D, 1.0)]
    [InlineData(NonlinearityType.Sigmoid, 1.0)]
    [InlineData(NonlinearityType.Tanh, 1.6666666666666667)]
    [InlineData(NonlinearityType.ReLU, 1.4142135623730951)]
    [InlineData(NonlinearityType.LeakyReLU, 1.2649110640673518)]
    public void The_gain_depends_on_the_nonlinearity(NonlinearityType nonlinearity, double gain) =>
        Assert.Equal(gain, calculate_gain(nonlinearity, 0.5), 1e-15);

    [Fact]
    public void Uniform_starts_lie_within_their_bounds()
    {
        manual_seed(11);
        using var weight = empty(200, 300);
        AssertBound(0.25, uniform_(weight, -0.25, 0.25));
        AssertBound(Math.Sqrt(6.0 / 300), kaiming_uniform_(weight));
        AssertBound(Math.Sqrt(3.0 / 200), kaiming_uniform_(weight, mode: FanInOut.FanOut, nonlinearity: NonlinearityType.Linear));
        AssertBound(2 * Math.Sqrt(6.0 / 500), xavier_uniform_(weight, gain: 2));

        static void AssertBound(double bound, Tensor drawn)
        {
            Assert.InRange(drawn.abs().max().item<float>(), 0.999 * bound, 1.000001 * bound);
            Assert.Equal(bound / Math.Sqrt(3), drawn.std().item<float>(), 0.01 * bound);
        }
    }

    [Fact]
    public void Normal_starts_have_their_mean_and_deviation()
    {
        manual_seed(12);
        using var weight = empty(200, 300);
        normal_(weight, 1, 0.02);
        Assert.Equal(1, weight.mean().item<float>(), 0.001);
        Assert.Equal(0.02, weight.std().item<float>(), 0.001);
        kaiming_normal_(weight, nonlinearity: NonlinearityType.ReLU);
        Assert.Equal(Math.Sqrt(2.0 / 300), weight.std().item<float>(), 0.001);
    }

    [Fact]
    public void Gradients_are_scaled_to_the_greatest_common_norm()
    {
        using var first = WithGradient(3);
        using var second = WithGradient(4);
        using var without = new Parameter(ones(1));

        Assert.Equal(5, nn.utils.clip_grad_norm_([first, without, second], 1), 1e-6);

        Assert.Equal(0.6f, first.grad!.item<float>(), 1e-5);
        Assert.Equal(0.8f, second.grad!.item<float>(), 1e-5);
    }

    [Fact]
    public void Gradients_below_the_greatest_norm_stay()
    {
        using var parameter = WithGradient(3);
        Assert.Equal(3, nn.utils.clip_grad_norm_([parameter], 10), 1e-6);
        Assert.Equal(3f, parameter.grad!.item<float>());
        Assert.Equal(0, nn.utils.clip_grad_norm_([], 1));
    }

    [Fact]
    public void Gradients_can_be_measured_by_another_norm()
    {
        using var first = WithGradient(-3);
        using var second = WithGradient(4);
        Assert.Equal(7, nn.utils.clip_grad_norm_([first, second], 100, norm_type: 1), 1e-5);
        Assert.Equal(4, nn.utils.clip_grad_norm_([first, second], 100, norm_type: double.PositiveInfinity), 1e-6);
    }

    private static Parameter WithGradient(float gradient)
    {
        var parameter = new Parameter(ones(1));
        (parameter * gradient).sum().backward();
        return parameter;
    }
}
