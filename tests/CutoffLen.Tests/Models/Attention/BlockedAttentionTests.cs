using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs.Check;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Attention;

public sealed class BlockedAttentionTests
{
    public static TheoryData<int, int, int, int> Shapes => new()
    {
        { 1, 4, 4, 1 }, { 1, 4, 2, 17 }, { 2, 4, 1, 300 }, { 1, 4, 2, 600 },
    };

    [Theory]
    [MemberData(nameof(Shapes))]
    public void Equals_dense_attention_for_lengths_that_are_no_multiple_of_the_block(int batch, int heads, int keyValueHeads, int length)
    {
        var config = TinyModels.Config(heads, keyValueHeads);
        AssertEqualsDense(new RopeMethod(config.Positions), TokenPositions.Sequential(length), config, batch);
    }

    [Fact]
    public void Never_crosses_documents()
    {
        var config = TinyModels.Config();
        AssertEqualsDense(new RopeMethod(config.Positions), TokenPositions.Packed([3, 1, 500, 20, 300, 2]), config, 1);
    }

    [Fact]
    public void Shifted_positions_change_nothing_for_a_relative_method()
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config();
        var (q, k, v) = Heads(config, 1, 40);
        var method = new RopeMethod(config.Positions);
        using var plan = AttentionPlan.Create(method, TokenPositions.Sequential(40), config, CPU);
        using var shifted = AttentionPlan.Create(method, TokenPositions.Sequential(40, 1000), config, CPU);
        Assert.True(Distance(plan.Attend(q, k, v), shifted.Attend(q, k, v)) < 1e-4);
    }

    [Fact]
    public void A_window_of_a_plan_gives_the_last_rows_of_the_whole()
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config();
        var (q, k, v) = Heads(config, 2, 50);
        using var plan = AttentionPlan.Create(new RopeMethod(config.Positions), TokenPositions.Sequential(80), config, CPU);
        using var whole = AttentionPlan.Create(new RopeMethod(config.Positions), TokenPositions.Sequential(50), config, CPU);
        using var window = plan.Window(43, 50);
        var last = window.Attend(q.narrow(2, 43, 7), k, v);
        Assert.True(Distance(whole.Attend(q, k, v).narrow(2, 43, 7), last) < 1e-6);
    }

    internal static void AssertEqualsDense(
        PositionMethod method, TokenPositions positions, LlamaConfig config, int batch, double tolerance = 1e-5, AttentionPath path = AttentionPath.Blocked,
        BlockSize? size = null)
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = Heads(config, batch, positions.Length);
        var upstream = randn(q.shape, generator: new Generator(5));
        foreach (var leaf in new[] { q, k, v })
        {
            leaf.requires_grad = true;
        }

        var dense = DenseReference.Attend(method, positions, config, q, k, v);
        autograd.backward([dense], [upstream]);

        using var noGrad = no_grad();
        using var plan = AttentionPlan.Create(method, positions, config, CPU, path, size);
        var (output, logSumExp) = plan.Attend(q, k, v, keepLogSumExp: true);
        var (dq, dk, dv) = plan.Backward(q, k, v, output, logSumExp, upstream);
        Assert.True(Distance(dense, output) < tolerance, $"output is {Distance(dense, output)} away");
        foreach (var (name, leaf, gradient) in new[] { ("queries", q, dq), ("keys", k, dk), ("values", v, dv) })
        {
            var away = Distance(leaf.grad!, gradient) / Math.Max(1, leaf.grad!.abs().max().item<float>());
            Assert.True(away < tolerance, $"gradient of {name} is {away} away");
        }
    }

    internal static (Tensor Q, Tensor K, Tensor V) Heads(LlamaConfig config, int batch, int length)
    {
        var generator = new Generator(3);
        return (Draw(config.NumAttentionHeads), Draw(config.NumKeyValueHeads), Draw(config.NumKeyValueHeads));

        Tensor Draw(int heads) => randn([batch, heads, length, config.HeadDim], generator: generator);
    }

    private static double Distance(Tensor a, Tensor b) => (a - b).abs().max().item<float>();
}
