using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Standins.Tests.Modules;

public sealed class ModulesLayersTests
{
    [Fact]
    public void Linear_multiplies_by_the_transposed_weight_and_adds_the_bias()
    {
        using var weight = new Parameter(tensor(new float[] { 1, 2, 3, 4, 5, 6 }).reshape(3, 2));
        using var bias = new Parameter(tensor(new float[] { 10, 20, 30 }));
        using var linear = nn.Linear(weight, bias);

        var y = linear.call(tensor(new float[] { 1, -1 }).reshape(1, 2));

        Assert.Equal([9f, 19f, 29f], y.data<float>().ToArray());
        Assert.Equal((2, 3), (linear.in_features, linear.out_features));
        Assert.Equal([2f, 3f], nn.Linear(2, 3, hasBias: false).call(ones(2, 2)).shape.Select(n => (float)n));
    }

    [Fact]
    public void Linear_starts_within_one_over_the_root_of_its_inputs()
    {
        manual_seed(1);
        using var linear = nn.Linear(100, 300);
        Assert.InRange(linear.weight.abs().max().item<float>(), 0.099f, 0.1f);
        Assert.InRange(linear.bias!.abs().max().item<float>(), 0.09f, 0.1f);
        Assert.InRange(linear.weight.mean().item<float>(), -0.002f, 0.002f);
    }

    [Fact]
    public void Linear_draws_its_weight_and_then_its_bias()
    {
        manual_seed(7);
        using var linear = nn.Linear(9, 4);

        manual_seed(7);
        using var weight = nn.init.kaiming_uniform_(empty(4, 9), Math.Sqrt(5));
        using var bias = nn.init.uniform_(empty(4), -1.0 / 3, 1.0 / 3);

        Assert.Equal(weight.data<float>().ToArray(), linear.weight.data<float>().ToArray());
        Assert.Equal(bias.data<float>().ToArray(), linear.bias!.data<float>().ToArray());
    }

    [Fact]
    public void Linear_has_the_dtype_asked_for()
    {
        using var linear = nn.Linear(2, 2, dtype: ScalarType.BFloat16, device: CPU);
        Assert.Equal(ScalarType.BFloat16, linear.weight.dtype);
        Assert.Equal(ScalarType.BFloat16, linear.bias!.dtype);
    }

    [Fact]
    public void Setting_a_parameter_of_linear_replaces_and_disposes_the_old_one()
    {
        using var linear = nn.Linear(2, 2);
        var (weight, bias) = (linear.weight, linear.bias!);
        using (NewDisposeScope())
        {
            linear.weight = new Parameter(ones(2, 2));
            linear.bias = null;
        }
        Assert.True(weight.IsInvalid);
        Assert.True(bias.IsInvalid);
        Assert.Equal(["weight"], linear.named_parameters().Select(named => named.name));
        Assert.Equal([2f, 2f], linear.call(ones(2)).data<float>().ToArray());
        Assert.Throws<ArgumentNullException>(() => linear.weight = null!);
    }

    [Fact]
    public void Embedding_gives_the_rows_of_its_weight()
    {
        using var embedding = nn.Embedding(5, 3);
        using var ids = tensor(new long[] { 4, 0, 4 });

        var rows = embedding.call(ids);

        Assert.True(rows.equal(embedding.weight!.index_select(0, ids)).all().item<bool>());
        Assert.Equal(["weight"], embedding.named_parameters().Select(named => named.name));
        Assert.Equal([5L, 3L], embedding.weight!.shape);
    }

    [Fact]
    public void Embedding_starts_from_the_standard_normal()
    {
        manual_seed(3);
        using var embedding = nn.Embedding(200, 50);
        manual_seed(3);
        using var expected = nn.init.normal_(empty(200, 50));
        Assert.True(embedding.weight!.allclose(expected));
        Assert.InRange(embedding.weight!.std().item<float>(), 0.97f, 1.03f);
    }

    [Fact]
    public void Embedding_has_the_dtype_asked_for()
    {
        using var embedding = nn.Embedding(3, 2, dtype: ScalarType.BFloat16, device: CPU);
        Assert.Equal(ScalarType.BFloat16, embedding.weight!.dtype);
    }

    [Fact]
    public void The_padding_row_of_an_embedding_is_zero_and_gets_no_gradient()
    {
        using var embedding = nn.Embedding(3, 2, padding_idx: 1);
        embedding.call(tensor(new long[] { 0, 1, 1 })).sum().backward();
        Assert.Equal([0f, 0f], embedding.weight![1].data<float>().ToArray());
        Assert.Equal([1f, 1f, 0f, 0f, 0f, 0f], embedding.weight!.grad!.data<float>().ToArray());
    }

    [Fact]
    public void Embedding_scales_rows_down_to_the_greatest_norm()
    {
        using var embedding = nn.Embedding(1, 2, max_norm: 1.0);
        embedding.weight = new Parameter(tensor(new float[] { 3, 4 }).reshape(1, 2), requires_grad: false);
        var row = embedding.call(zeros(1, dtype: ScalarType.Int64));
        Assert.Equal(0.6f, row[0, 0].item<float>(), 1e-5);
        Assert.Equal(0.8f, row[0, 1].item<float>(), 1e-5);
    }

    [Fact]
    public void Setting_the_weight_of_an_embedding_registers_it()
    {
        using var embedding = nn.Embedding(2, 2);
        using var table = new Parameter(ones(3, 2));
        embedding.weight = table;
        Assert.Same(table, embedding.parameters().Single());
        Assert.Equal([1f, 1f], embedding.call(tensor(new long[] { 2 })).data<float>().ToArray());
        Assert.Throws<ArgumentNullException>(() => embedding.weight = null);
    }

    [Fact]
    public void The_weight_of_an_embedding_is_handed_out_as_a_new_object_on_the_same_data()
    {
        using var embedding = nn.Embedding(2, 2);
        using (var weight = embedding.weight!)
        using (no_grad())
            weight.fill_(5);
        Assert.NotSame(embedding.weight, embedding.weight);
        Assert.Equal([5f, 5f], embedding.call(tensor(new long[] { 1 })).data<float>().ToArray());
    }

    [Fact]
    public void An_id_outside_of_the_table_is_an_error()
    {
        using var embedding = nn.Embedding(2, 2);
        Assert.ThrowsAny<Exception>(() => embedding.call(tensor(new long[] { 2 })));
    }

    [Fact]
    public void Dropout_drops_in_training_only()
    {
        manual_seed(5);
        using var dropout = nn.Dropout(0.25);
        using var x = ones(10000);

        var dropped = dropout.call(x);
        dropout.eval();

        Assert.InRange(dropped.count_nonzero().item<long>(), 7300, 7700);
        Assert.Equal(4f / 3, dropped.max().item<float>(), 1e-6);
        Assert.True(dropout.call(x).allclose(x));
        Assert.Throws<InvalidOperationException>(() => dropout.register_buffer("table", x));
    }

    [Fact]
    public void SiLU_is_the_input_times_its_sigmoid()
    {
        using var silu = nn.SiLU();
        using var x = linspace(-5, 5, 21);
        Assert.True(silu.call(x).allclose(x * sigmoid(x)));
        Assert.Equal("SiLU", silu.GetName());
    }

    [Fact]
    public void A_layer_that_works_in_place_gives_a_new_object_on_the_same_data()
    {
        using var silu = nn.SiLU(inplace: true);
        using var dropout = nn.Dropout(0, inplace: true);
        using var x = ones(2);
        using (var y = dropout.call(silu.call(x)))
            Assert.NotSame(x, y);
        Assert.Equal(0.7310586f, x[0].item<float>(), 1e-6);
    }

    [Fact]
    public void Hooks_see_and_replace_inputs_and_results()
    {
        using var linear = nn.Linear(new Parameter(ones(1, 1)));
        var calls = 0;
        var before = linear.register_forward_pre_hook((_, x) => x + 1);
        var after = linear.register_forward_hook((_, x, y) => y * 10 + x);
        linear.register_forward_hook(_ => calls++);

        Assert.Equal(33f, linear.call(2 * ones(1)).item<float>());
        before.remove();
        after.remove();
        Assert.Equal(2f, linear.call(2 * ones(1)).item<float>());
        Assert.Equal(2, calls);
    }

    [Fact]
    public void Modules_can_have_two_or_three_inputs()
    {
        using var two = new Sum2();
        using var three = new Sum3();
        two.register_forward_pre_hook((_, a, b) => (b, a));
        Assert.Equal(1f, two.call(ones(1), 2 * ones(1)).item<float>());
        Assert.Equal(6f, three.call(ones(1), 2 * ones(1), 3).item<float>());
    }

    private sealed class Sum2() : nn.Module<Tensor, Tensor, Tensor>("sum")
    {
        public override Tensor forward(Tensor input1, Tensor input2) => input1 - input2;
    }

    private sealed class Sum3() : nn.Module<Tensor, Tensor, int, Tensor>("sum")
    {
        public override Tensor forward(Tensor input1, Tensor input2, int input3) => input1 + input2 + input3;
    }
}
