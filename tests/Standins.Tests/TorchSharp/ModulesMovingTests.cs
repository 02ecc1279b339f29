using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Standins.Tests.Modules;

public sealed class ModulesMovingTests
{
    [Fact]
    public void Converting_a_layer_replaces_its_parameters_and_disposes_the_old_ones()
    {
        using var linear = nn.Linear(2, 3);
        var (weight, bias) = (linear.weight, linear.bias!);
        var values = weight.to(ScalarType.Float64).data<double>().ToArray();

        Assert.Same(linear, linear.to(ScalarType.Float64));

        Assert.True(weight.IsInvalid);
        Assert.True(bias.IsInvalid);
        Assert.Equal(ScalarType.Float64, linear.weight.dtype);
        Assert.Equal(ScalarType.Float64, linear.bias!.dtype);
        Assert.Equal(values, linear.weight.data<double>().ToArray());
        Assert.True(linear.weight.requires_grad);
        Assert.True(linear.weight.is_leaf);
        Assert.Equal(["weight", "bias"], linear.named_parameters().Select(named => named.name));
        Assert.Same(linear.weight, linear.get_parameter("weight"));
    }

    [Fact]
    public void Converting_to_what_it_is_changes_nothing()
    {
        using var linear = nn.Linear(2, 3);
        var weight = linear.weight;
        linear.to(ScalarType.Float32).to(CPU).cpu();
        Assert.Same(weight, linear.weight);
        Assert.False(weight.IsInvalid);
    }

    [Fact]
    public void Gradients_and_frozen_state_go_along()
    {
        using var linear = nn.Linear(2, 1);
        linear.bias!.requires_grad_(false);
        linear.call(ones(3, 2)).sum().backward();

        linear.to(ScalarType.Float64);

        Assert.False(linear.bias!.requires_grad);
        Assert.Equal(ScalarType.Float64, linear.weight.grad!.dtype);
        Assert.Equal([3.0, 3.0], linear.weight.grad!.data<double>().ToArray());
    }

    [Fact]
    public void The_fields_of_a_module_follow()
    {
        using var norm = new Norm();
        var before = norm.gain;

        norm.to(ScalarType.BFloat16);

        Assert.True(before.IsInvalid);
        Assert.Same(norm.gain, norm.get_parameter("gain"));
        Assert.Equal(ScalarType.BFloat16, norm.gain.dtype);
        Assert.Same(norm.table, norm.get_buffer("table"));
        Assert.Equal(ScalarType.BFloat16, norm.table.dtype);
    }

    [Fact]
    public void Integer_buffers_keep_their_dtype_and_values()
    {
        using var norm = new Norm();
        norm.to(ScalarType.BFloat16);
        Assert.Equal(ScalarType.Int64, norm.ids.dtype);
        Assert.Equal([0L, 1L, 2L], norm.ids.data<long>().ToArray());
    }

    [Fact]
    public void A_buffer_that_is_not_persistent_stays_as_it_is()
    {
        using var norm = new Norm();
        using var cache = zeros(2);
        norm.register_buffer("cache", cache, persistent: false);
        norm.to(ScalarType.BFloat16);
        Assert.Same(cache, norm.get_buffer("cache"));
        Assert.Equal(ScalarType.Float32, cache.dtype);
    }

    [Fact]
    public void Submodules_are_converted_in_place()
    {
        using var list = nn.ModuleList<nn.Module>(nn.Linear(2, 2), new Norm(), nn.Dropout(0.5));
        using var outer = new Outer(list);
        outer.to(ScalarType.Float64);
        Assert.All(outer.parameters(), parameter => Assert.Equal(ScalarType.Float64, parameter.dtype));
        Assert.Equal(3, outer.parameters().Count());
    }

    [Fact]
    public void An_embedding_keeps_its_tensor_when_it_is_converted()
    {
        using var embedding = nn.Embedding(4, 2);
        var held = embedding.weight!;
        embedding.call(zeros(1, dtype: ScalarType.Int64)).sum().backward();

        embedding.to(ScalarType.Float64);

        Assert.Equal(ScalarType.Float64, held.dtype);
        Assert.Equal(ScalarType.Float64, embedding.weight!.dtype);
        Assert.Equal(ScalarType.Float64, embedding.weight!.grad!.dtype);
        Assert.True(embedding.weight!.requires_grad);
        Assert.Equal(ScalarType.Float64, embedding.call(zeros(1, dtype: ScalarType.Int64)).dtype);
        Assert.Equal(ScalarType.Float64, embedding.parameters().Single().dtype);
    }

    [Fact]
    public void Device_and_dtype_can_come_together_or_from_a_tensor()
    {
        using var linear = nn.Linear(2, 1);
        linear.to(CPU, ScalarType.Float64);
        Assert.Equal(ScalarType.Float64, linear.weight.dtype);
        using var example = zeros(1);
        linear.to(example);
        Assert.Equal(ScalarType.Float32, linear.weight.dtype);
        Assert.Equal(ScalarType.BFloat16, linear.bfloat16().weight.dtype);
    }

    [Fact]
    public void A_module_cannot_become_integer()
    {
        using var norm = new Norm();
        Assert.Throws<ArgumentException>(() => norm.to(ScalarType.Int64));
        Assert.Throws<ArgumentException>(() => norm.to(CPU, ScalarType.Bool));
    }

    [Fact]
    public void Training_goes_on_after_a_conversion()
    {
        using var linear = nn.Linear(2, 1);
        linear.to(ScalarType.Float64);
        linear.call(ones([1, 2], dtype: ScalarType.Float64)).sum().backward();
        Assert.Equal([1.0, 1.0], linear.weight.grad!.data<double>().ToArray());
    }

    private sealed class Norm : nn.Module<Tensor, Tensor>
    {
        public Parameter gain = new(ones(2));
        public Tensor table = ones(2);
        public Tensor ids = arange(3, dtype: ScalarType.Int64);

        public Norm()
            : base(nameof(Norm)) => RegisterComponents();

        public override Tensor forward(Tensor input) => input * gain;
    }

    private sealed class Outer : nn.Module
    {
        private readonly ModuleList<nn.Module> layers;

        public Outer(ModuleList<nn.Module> layers)
            : base(nameof(Outer))
        {
            this.layers = layers;
            RegisterComponents();
        }

        public override string ToString() => $"{layers.Count}";
    }
}
