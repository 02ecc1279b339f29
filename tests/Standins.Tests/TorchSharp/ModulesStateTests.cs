using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Standins.Tests.Modules;

public sealed class ModulesStateTests
{
    [Fact]
    public void The_state_is_the_modules_own_tensors()
    {
        using var linear = nn.Linear(2, 1);
        var state = linear.state_dict(prefix: "model.head");
        Assert.Same(linear.weight, state["model.head.weight"]);
        Assert.Same(linear.bias, state["model.head.bias"]);
    }

    [Fact]
    public void Loading_copies_values_and_converts_their_dtype()
    {
        using var linear = nn.Linear(2, 1, hasBias: false);
        var weight = linear.weight;
        using var stored = tensor(new double[] { 1.5, -2 }).reshape(1, 2);

        var (missing, unexpected) = linear.load_state_dict(new() { ["weight"] = stored });

        Assert.Same(weight, linear.weight);
        Assert.Equal([1.5f, -2f], weight.data<float>().ToArray());
        Assert.True(weight.requires_grad);
        Assert.Empty(missing);
        Assert.Empty(unexpected);
    }

    [Fact]
    public void Loading_strictly_refuses_missing_and_unknown_names()
    {
        using var linear = nn.Linear(2, 1, hasBias: false);
        var before = linear.weight.data<float>().ToArray();
        using var value = zeros(1, 2);
        Assert.Throws<InvalidOperationException>(() => linear.load_state_dict([]));
        Assert.Throws<InvalidOperationException>(() => linear.load_state_dict(new() { ["weight"] = value, ["extra"] = value }));
        Assert.Equal(before, linear.weight.data<float>().ToArray());
    }

    [Fact]
    public void Loading_leniently_returns_missing_and_unknown_names()
    {
        using var linear = nn.Linear(2, 1);
        using var value = zeros(1, 2);
        var (missing, unexpected) = linear.load_state_dict(new() { ["weight"] = value, ["extra"] = value }, strict: false);
        Assert.Equal(["bias"], missing);
        Assert.Equal(["extra"], unexpected);
        Assert.Equal([0f, 0f], linear.weight.data<float>().ToArray());
    }

    [Fact]
    public void Skipped_names_are_neither_missing_nor_unknown_nor_loaded()
    {
        using var linear = nn.Linear(1, 1);
        using var value = zeros(1, 1);
        var before = linear.weight.item<float>();
        var (missing, unexpected) = linear.load_state_dict(new() { ["weight"] = value, ["extra"] = value }, skip: ["weight", "bias", "extra"]);
        Assert.Empty(missing);
        Assert.Empty(unexpected);
        Assert.Equal(before, linear.weight.item<float>());
    }

    [Fact]
    public void Loading_another_shape_is_an_error()
    {
        using var linear = nn.Linear(2, 1, hasBias: false);
        using var value = zeros(3, 5);
        Assert.ThrowsAny<Exception>(() => linear.load_state_dict(new() { ["weight"] = value }));
    }

    [Fact]
    public void A_parameter_takes_over_the_tensor_it_is_made_of()
    {
        var data = arange(3, dtype: ScalarType.Float32);
        using var parameter = new Parameter(data);
        Assert.True(data.IsInvalid);
        Assert.True(parameter.requires_grad);
        Assert.True(parameter.is_leaf);
        Assert.Equal([0f, 1f, 2f], parameter.data<float>().ToArray());
    }

    [Fact]
    public void A_parameter_can_be_frozen()
    {
        using var parameter = nn.Parameter(zeros(1), requires_grad: false);
        Assert.False(parameter.requires_grad);
    }

    [Fact]
    public void A_parameter_of_integers_is_an_error_unless_frozen()
    {
        using var parameter = new Parameter(arange(3, dtype: ScalarType.Int64), requires_grad: false);
        Assert.Equal(ScalarType.Int64, parameter.dtype);
        Assert.ThrowsAny<Exception>(() => new Parameter(arange(3, dtype: ScalarType.Int64)));
    }

    [Fact]
    public void A_parameter_belongs_to_the_scope_of_its_tensor()
    {
        Parameter parameter;
        using (NewDisposeScope())
        {
            parameter = new Parameter(zeros(1));
            Assert.False(parameter.IsInvalid);
        }
        Assert.True(parameter.IsInvalid);
    }

    [Fact]
    public void A_layer_outlives_the_scope_it_is_made_in()
    {
        Linear linear;
        Embedding embedding;
        using (NewDisposeScope())
        {
            linear = nn.Linear(2, 2);
            embedding = nn.Embedding(3, 2);
        }
        using (linear)
        using (embedding)
        {
            Assert.False(linear.weight.IsInvalid);
            Assert.Equal([1L, 2L], linear.call(embedding.call(zeros(1, dtype: ScalarType.Int64))).shape);
        }
    }
}
