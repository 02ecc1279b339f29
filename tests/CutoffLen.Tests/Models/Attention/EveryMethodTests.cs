using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Tests.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Attention;

/// <summary>The real attention under every registered method and modifier.</summary>
public sealed class EveryMethodTests
{
    private const int Short = 40; // beyond the native length and every window at it

    private static readonly LlamaConfig Config = TinyModels.ForEveryMethod;

    // At these lengths queries and keys are cut, as they are at very large ones by the standard size.
    private static readonly BlockSize ManyPieces = new(16, 1024);

    [Fact]
    public void The_network_is_the_one_that_the_specs_are_made_for() => Assert.Equal(MethodPropertyTests.Model, Config.Positions);

    [Theory]
    [MemberData(nameof(MethodPropertyTests.Specs), MemberType = typeof(MethodPropertyTests))]
    public void Blocked_equals_dense_for_lengths_that_are_no_multiple_of_the_block(string spec)
    {
        var method = MethodPropertyTests.Create(spec);
        foreach (var size in new[] { BlockSize.For(CPU), ManyPieces })
        {
            BlockedAttentionTests.AssertEqualsDense(method, TokenPositions.Sequential(261), Config, 1, size: size);
            BlockedAttentionTests.AssertEqualsDense(method, TokenPositions.Packed([5, 90, 1, 30]), Config, 2, size: size);
        }
    }

    [Theory]
    [MemberData(nameof(MethodPropertyTests.Specs), MemberType = typeof(MethodPropertyTests))]
    public void Libtorchs_attention_takes_the_methods_that_do_not_alter_it_and_equals_dense(string spec)
    {
        var method = MethodPropertyTests.Create(spec);
        using var scope = NewDisposeScope();
        using var plan = AttentionPlan.Create(method, TokenPositions.Sequential(200), Config, CPU, AttentionPath.Sdpa);
        using var window = plan.Window(3, 9);
        using var packed = AttentionPlan.Create(method, TokenPositions.Packed([100, 100]), Config, CPU, AttentionPath.Sdpa);
        var path = MethodPropertyTests.Entries(spec).Any(entry => entry.AltersAttention) ? AttentionPath.Blocked : AttentionPath.Sdpa;
        Assert.All([plan, packed], other => Assert.Equal(path, other.Path));
        Assert.Equal(AttentionPath.Blocked, window.Path);
        BlockedAttentionTests.AssertEqualsDense(method, TokenPositions.Sequential(70), Config, 2, path: AttentionPath.Sdpa);
        BlockedAttentionTests.AssertEqualsDense(method, TokenPositions.Packed([5, 90, 1, 30]), Config, 2, path: AttentionPath.Sdpa);
    }

    /// <summary>
    /// The reference sums attention in float64 pair by pair, as the bands define it. It has no graph and shares no code with
    /// the product. Its central differences are the expected gradients.
    /// </summary>
    [Theory]
    [MemberData(nameof(MethodPropertyTests.Specs), MemberType = typeof(MethodPropertyTests))]
    public void Gradients_are_the_finite_differences_of_attention_in_float64(string spec)
    {
        using var scope = NewDisposeScope();
        var (method, positions) = (MethodPropertyTests.Create(spec), TokenPositions.Sequential(Short));
        var inputs = new[] { Config.NumAttentionHeads, Config.NumKeyValueHeads, Config.NumKeyValueHeads }.Select((heads, n) => Draw(heads, n)).ToArray();
        var upstream = Draw(Config.NumAttentionHeads, 3);

        using var plan = AttentionPlan.Create(method, positions, Config, CPU);
        var (q, k, v) = (Tensor(inputs[0]), Tensor(inputs[1]), Tensor(inputs[2]));
        var (output, logSumExp) = plan.Attend(q, k, v, keepLogSumExp: true);
        var (dq, dk, dv) = plan.Backward(q, k, v, output, logSumExp!, Tensor(upstream));

        var direction = inputs.Select((values, n) => Draw(values.Length / Short / Config.HeadDim, 4 + n)).ToArray();
        var terms = new[] { dq, dk, dv }.Zip(direction).SelectMany(pair =>
            pair.First.contiguous().data<float>().ToArray().Zip(pair.Second, (gradient, d) => (double)gradient * d)).ToArray();
        var expected = Derivative(step => Total(method, positions, Moved(inputs, direction, step), upstream));
        // Relative to what the rounding of the gradient's elements, each to float32, can add up to.
        var size = Math.Sqrt(terms.Sum(term => term * term));
        Assert.True(Math.Abs(expected - terms.Sum()) < 1e-5 * size, $"{terms.Sum()} instead of {expected}, elements of size {size}");
    }

    /// <summary>The derivative at 0 by central differences of the fourth order.</summary>
    private static double Derivative(Func<float, double> of)
    {
        const float step = 1f / 1024;
        return ((8 * (of(step) - of(-step))) - (of(2 * step) - of(-2 * step))) / (12 * step);
    }

    /// <summary>The sum of attention's results times the upstream gradients.</summary>
    private static double Total(PositionMethod method, TokenPositions positions, float[][] inputs, float[] upstream)
    {
        var dense = new Positions.DenseAttention(
            method.Bands(positions), inputs[0], inputs[1], inputs[2], Config.NumAttentionHeads, Config.NumKeyValueHeads, Config.HeadDim);
        var total = 0.0;
        for (var row = 0; row < Config.NumAttentionHeads * Short; row++)
        {
            var (head, i) = (row / Short, row % Short);
            var output = dense.Output(head, dense.Weights(head, i));
            for (var d = 0; d < Config.HeadDim; d++)
            {
                total += output[d] * upstream[(row * Config.HeadDim) + d];
            }
        }

        return total;
    }

    /// <summary>Multiples of 1/64, so that a step along a direction is exact in float32.</summary>
    private static float[] Draw(int heads, int seed)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, heads * Short * Config.HeadDim).Select(_ => random.Next(-96, 97) / 64f)];
    }

    private static float[][] Moved(float[][] inputs, float[][] direction, float step) =>
        [.. inputs.Zip(direction, (values, d) => values.Zip(d, (value, change) => value + (step * change)).ToArray())];

    private static Tensor Tensor(float[] values) => tensor(values, [1, values.Length / Short / Config.HeadDim, Short, Config.HeadDim]);
}
