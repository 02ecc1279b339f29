using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Distributed;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs.Check;
using CutoffLen.Tests.Distributed;
using CutoffLen.Tests.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Attention;

/// <summary>Attention of ranks that share rows, against dense attention over whole rows.</summary>
public sealed class ContextParallelAttentionTests
{
    // Queries and keys of a chunk are cut, as they are at very large lengths by the standard size.
    private static readonly BlockSize ManyPieces = new(16, 1024);

    [Theory]
    [MemberData(nameof(MethodPropertyTests.Specs), MemberType = typeof(MethodPropertyTests))]
    public void Blocked_attention_of_two_ranks_equals_dense_under_every_method(string spec)
    {
        var method = MethodPropertyTests.Create(spec);
        AssertEqualsDense(method, TokenPositions.Sequential(72), TinyModels.ForEveryMethod, 2, AttentionPath.Blocked, ManyPieces);
        AssertEqualsDense(method, TokenPositions.Packed([5, 40, 1, 26]), TinyModels.ForEveryMethod, 2, AttentionPath.Blocked, ManyPieces);
    }

    [Fact]
    public void Blocked_attention_of_two_ranks_equals_dense_under_a_sliding_window()
    {
        var method = new SlidingWindowMethod(new RopeMethod(TinyModels.Config().Positions), 11);
        AssertEqualsDense(method, TokenPositions.Sequential(72), TinyModels.Config(), 2, AttentionPath.Blocked, ManyPieces);
        AssertEqualsDense(method, TokenPositions.Packed([5, 40, 1, 26]), TinyModels.Config(), 2, AttentionPath.Blocked, ManyPieces);
    }

    [Theory]
    [InlineData(2, new[] { 1040 })] // chunks are longer than a causal part of the kernel
    [InlineData(4, new[] { 320 })]
    [InlineData(4, new[] { 40, 1, 200, 39, 40 })] // documents that begin and end at borders of chunks, and inside
    [InlineData(3, new[] { 2, 1, 3 })] // chunks of one token
    public void Fused_attention_of_ranks_equals_dense(int ranks, int[] documents)
    {
        var config = TinyModels.Config();
        AssertEqualsDense(new RopeMethod(config.Positions), TokenPositions.Packed(documents), config, ranks, AttentionPath.Sdpa);
    }

    [Fact]
    public void A_row_that_has_no_equal_chunks_is_refused()
    {
        var config = TinyModels.Config();
        var fault = Assert.Throws<ArgumentException>(() => ThreadCollectives.Run(
            2, context => AttentionPlan.Create(new RopeMethod(config.Positions), TokenPositions.Sequential(50), config, CPU, context: context)));
        Assert.Contains("50 tokens cannot be cut into 4 equal chunks", fault.Message);
    }

    private static void AssertEqualsDense(
        PositionMethod method, TokenPositions positions, LlamaConfig config, int ranks, AttentionPath path, BlockSize? size = null)
    {
        using var scope = NewDisposeScope();
        var (q, k, v) = BlockedAttentionTests.Heads(config, 2, positions.Length);
        var upstream = randn(q.shape, generator: new Generator(5));
        Tensor[] leaves = [.. new[] { q, k, v }.Select(leaf => leaf.to(ScalarType.Float64).requires_grad_())];
        var dense = DenseReference.Attend(method, positions, config, leaves[0], leaves[1], leaves[2]);
        Tensor[] expected = [dense.detach(), .. autograd.grad([dense], leaves, [upstream.to(ScalarType.Float64)])];

        var furthest = ThreadCollectives.Run(ranks, context =>
        {
            using var noGrad = no_grad();
            using var ofRank = NewDisposeScope();
            using var plan = AttentionPlan.Create(method, positions, config, CPU, path, size, context: context);
            Assert.Equal(path, plan.Path);
            var (output, kept) = plan.Attend(Own(q), Own(k), Own(v), keepLogSumExp: true);
            var (dq, dk, dv) = plan.Backward(Own(q), Own(k), Own(v), output, kept, Own(upstream));
            return expected.Zip([output, dq, dk, dv], (right, ours) => (Own(right) - ours).abs().max().item<double>() / right.abs().max().item<double>()).ToArray();

            Tensor Own(Tensor row)
            {
                var (chunks, n) = (ContextChunks.Of(context), positions.Length / (2 * ranks));
                return cat([row.narrow(2, chunks.Own.Early * n, n), row.narrow(2, chunks.Own.Late * n, n)], 2);
            }
        });
        Assert.All(furthest, ofRank => Assert.All(ofRank, away => Assert.True(away < 1e-5, $"output and gradients of queries, keys, values are {string.Join(", ", ofRank)} away")));
    }
}
