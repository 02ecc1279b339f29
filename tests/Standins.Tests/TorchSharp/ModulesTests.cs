using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;

namespace Standins.Tests.Modules;

public sealed class ModulesTests
{
    [Fact]
    public void Fields_are_registered_under_their_names_private_and_inherited_ones_too()
    {
        using var block = new Block();

        Assert.Equal(
            ["scale", "gate.weight", "up.weight", "up.bias", "norm.gain"],
            block.named_parameters().Select(named => named.name));
        Assert.Equal(["gate", "up", "norm"], block.named_children().Select(child => child.name));
        Assert.Equal(["counts"], block.named_buffers().Select(named => named.name));
    }

    [Fact]
    public void An_automatic_property_is_registered_under_the_name_of_its_hidden_field()
    {
        using var module = new WithProperty();
        Assert.Equal(["<Head>k__BackingField"], module.named_children().Select(child => child.name));
    }

    [Fact]
    public void Components_are_registered_once_however_often_it_is_asked_for()
    {
        using var block = new Block();
        using var outer = new Holder(block);
        Assert.Equal(5, outer.parameters().Count());
    }

    [Fact]
    public void Only_a_module_list_makes_its_items_submodules()
    {
        using var stack = new Stack(2);
        Assert.Equal(
            ["layers.0.weight", "layers.1.weight"],
            stack.named_parameters().Select(named => named.name));
    }

    [Fact]
    public void What_joins_a_module_list_later_is_no_submodule()
    {
        using var stack = new Stack(1);
        using var late = nn.Linear(2, 2, hasBias: false);
        stack.layers.Add(late);
        Assert.Equal(2, stack.layers.Count);
        Assert.Single(stack.parameters());
    }

    [Fact]
    public void A_module_list_is_a_list()
    {
        using var first = nn.Linear(1, 1);
        using var second = nn.Linear(1, 1);
        using var third = nn.Linear(1, 1);
        using var list = nn.ModuleList(first, second);
        list.Insert(1, third);
        list.RemoveAt(0);
        list.append(first);
        Assert.Equal([third, second, first], list);
        Assert.Equal(2, list.IndexOf(first));
        list[2] = third;
        Assert.True(list.Remove(second));
        Assert.DoesNotContain(second, list);
        list.Clear();
        Assert.Empty(list);
    }

    [Theory]
    [InlineData("scale", typeof(InvalidOperationException))]
    [InlineData("a.b", typeof(ArgumentException))]
    [InlineData("", typeof(ArgumentException))]
    public void A_module_cannot_be_registered_under_a_bad_or_taken_name(string name, Type error)
    {
        using var block = new Block();
        using var first = nn.Linear(1, 1);
        using var second = nn.Linear(1, 1);
        Assert.Throws(error, () =>
        {
            block.register_module(name, first);
            block.register_module(name, second);
        });
    }

    [Fact]
    public void A_tensor_cannot_be_registered_twice_or_missing()
    {
        using var block = new Block();
        using var tensor = zeros(2);
        using var parameter = new Parameter(zeros(2));
        Assert.Throws<InvalidOperationException>(() => block.register_buffer("counts", tensor));
        Assert.Throws<InvalidOperationException>(() => block.register_parameter("scale", parameter));
        Assert.Throws<ArgumentNullException>(() => block.register_buffer("other", null!));
        Assert.Throws<ArgumentNullException>(() => block.register_parameter("other", null!));
    }

    [Fact]
    public void Registering_nothing_takes_the_submodule_away()
    {
        using var block = new Block();
        block.register_module("up", null!);
        Assert.Equal(["gate", "norm"], block.named_children().Select(child => child.name));
    }

    [Fact]
    public void A_shared_parameter_is_listed_once_and_stored_under_both_names()
    {
        using var shared = nn.Linear(2, 2, hasBias: false);
        using var outer = new Pair(shared, nn.Linear(shared.weight));

        Assert.Equal(["first.weight"], outer.named_parameters().Select(named => named.name));
        Assert.Equal(["first.weight", "second.weight"], outer.state_dict().Keys);
    }

    [Fact]
    public void Modules_are_listed_own_ones_first_without_the_module_itself()
    {
        using var outer = new Holder(new Block());
        Assert.Equal(
            ["inner", "inner.gate", "inner.up", "inner.norm"],
            outer.named_modules().Select(named => named.name));
        Assert.Equal(4, outer.modules().Count());
        Assert.Single(outer.children());
        Assert.Empty(outer.parameters(recurse: false));
    }

    [Fact]
    public void A_buffer_that_is_not_persistent_is_in_no_listing()
    {
        using var block = new Block();
        block.register_buffer("cache", zeros(3), persistent: false);
        Assert.DoesNotContain("cache", block.named_buffers().Select(named => named.name));
        Assert.DoesNotContain("cache", block.state_dict().Keys);
        Assert.True(block.has_buffer("cache"));
    }

    [Fact]
    public void Parameters_and_buffers_are_found_by_path()
    {
        using var outer = new Holder(new Block());
        Assert.Equal([3L, 2L], outer.get_parameter("inner.up.weight")!.shape);
        Assert.True(outer.has_parameter("inner.norm.gain"));
        Assert.False(outer.has_parameter("inner.norm.bias"));
        Assert.Null(outer.get_parameter("up.weight"));
        Assert.Equal(ScalarType.Int64, outer.get_buffer("inner.counts")!.dtype);
        Assert.Null(outer.get_buffer("inner"));
    }

    [Fact]
    public void Training_mode_reaches_every_submodule()
    {
        using var outer = new Holder(new Block());
        Assert.True(outer.training);
        outer.eval();
        Assert.All(outer.modules().Append(outer), module => Assert.False(module.training));
        outer.train();
        Assert.All(outer.modules().Append(outer), module => Assert.True(module.training));
    }

    [Fact]
    public void Apply_visits_submodules_before_the_module()
    {
        using var outer = new Holder(new Block());
        var seen = new List<string>();
        outer.apply(module => seen.Add(module.GetName()));
        Assert.Equal(["Linear", "Linear", "Norm", "Block", "Holder"], seen);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Gradients_are_dropped_or_zeroed(bool setToNone)
    {
        using var linear = nn.Linear(2, 1);
        linear.call(ones(1, 2)).sum().backward();

        linear.zero_grad(setToNone);

        if (setToNone)
            Assert.Null(linear.weight.grad);
        else
            Assert.Equal([0f, 0f], linear.weight.grad!.data<float>().ToArray());
    }

    [Fact]
    public void Disposing_a_module_disposes_what_it_holds()
    {
        var block = new Block();
        var tensors = block.state_dict().Values.ToList();
        block.Dispose();
        block.Dispose();
        Assert.All(tensors, tensor => Assert.True(tensor.IsInvalid));
    }

    private sealed class Block : WithNorm
    {
        private readonly Parameter scale = new(ones(1));
        private readonly Linear gate = nn.Linear(2, 3, hasBias: false);
        public readonly Linear up = nn.Linear(2, 3);
        private readonly Tensor counts = zeros(1, dtype: ScalarType.Int64);
        private readonly string note = "no component";

        public Block()
            : base(nameof(Block)) => RegisterComponents();

        public override string ToString() => $"{note} {scale} {gate} {counts}";
    }

    private abstract class WithNorm(string name) : nn.Module(name)
    {
        [ComponentName(Name = "norm")]
        private readonly Norm inner = new();

        public Tensor Normalize(Tensor x) => inner.call(x);
    }

    private sealed class Norm : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter gain = new(ones(2));

        public Norm()
            : base(nameof(Norm)) { } // the module that holds it registers its components

        public override Tensor forward(Tensor input) => input * gain;
    }

    private sealed class Holder : nn.Module
    {
        private readonly nn.Module inner;

        public Holder(nn.Module inner)
            : base(nameof(Holder))
        {
            this.inner = inner;
            RegisterComponents();
            RegisterComponents();
        }

        public override string ToString() => $"{inner}";
    }

    private sealed class Pair : nn.Module
    {
        private readonly Linear first;
        private readonly Linear second;

        public Pair(Linear first, Linear second)
            : base(nameof(Pair))
        {
            (this.first, this.second) = (first, second);
            RegisterComponents();
        }

        public override string ToString() => $"{first} {second}";
    }

    private sealed class Stack : nn.Module
    {
        public readonly ModuleList<Linear> layers = [];
        private readonly List<Linear> unseen = [];

        public Stack(int count)
            : base(nameof(Stack))
        {
            for (var i = 0; i < count; i++)
                layers.Add(nn.Linear(2, 2, hasBias: false));
            unseen.Add(layers[0]);
            RegisterComponents();
        }
    }

    private sealed class WithProperty : nn.Module
    {
        public WithProperty()
            : base(nameof(WithProperty)) => RegisterComponents();

        public Linear Head { get; } = nn.Linear(1, 1);
    }
}
