using CutoffLen.Hardware;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Exact attention over the bands of a plan, tile by tile. Softmax runs over all bands together. Keys that no query of a
/// block sees are skipped, and memory is linear in T. The backward pass recomputes a tile's weights from the
/// log-sum-exp of the forward pass (FlashAttention, arXiv 2205.14135, section 3.1). Scores carry a factor log2(e), so that
/// weights are powers of two, which a CPU computes faster than powers of e; the log-sum-exp is to the base 2 likewise.
/// <para>
/// Shapes: B batch, H = K*G query heads, K key/value heads, n queries, T keys, D head dimension; a tile has c of the B*K
/// pairs of a row and a key/value head. Names as in FlashAttention: P weights, O output, S scores, d before a gradient.
/// </para>
/// </summary>
internal sealed class BlockedAttention(IReadOnlyList<DeviceBand> bands, AttentionTiling tiling, Workspace workspace) : IAttention
{
    /// <summary>The result and, where asked for, the float32 log-sum-exp of each query's scores, [B*K, G, n, 1].</summary>
    public (Tensor Output, Tensor[] Kept) Forward(Tensor queries, Tensor keys, Tensor values, bool keepLogSumExp, bool areEncoded)
    {
        using var scope = NewDisposeScope();
        var heads = new EncodedHeads(bands, tiling.FirstQuery, queries, keys, values, workspace, areEncoded);
        var output = empty([heads.Batch, heads.Queries, heads.KeyHeads, heads.Group, heads.HeadDim], values.dtype, values.device);
        var byHead = output.permute(0, 2, 3, 1, 4); // [B, K, G, n, D]
        var logSumExp = keepLogSumExp
            ? empty([heads.Pairs, heads.Group, heads.Queries, 1], ScalarType.Float32, values.device)
            : null;
        foreach (var tile in tiling.Forward(heads.Batch, heads.KeyHeads))
        {
            using var tileScope = NewDisposeScope();
            var products = heads.Scores(tile); // [c, G, n, all the block's keys]
            var max = products.Float32.amax([-1], keepdim: true);
            var p = products.Float32.sub_(max).exp2_();
            var total = p.sum([-1], keepdim: true); // [c, G, n, 1]
            if (logSumExp is not null)
            {
                heads.RowsOf(logSumExp, tile).copy_(total.log2().add_(max));
            }

            var attended = heads.WeightedValues(tile, products.Round()).div_(total); // [c, G, n, D]
            heads.PlaceRows(byHead, tile, attended);
        }

        return (output.flatten(2, 3).transpose(1, 2).MoveToOuterDisposeScope(), logSumExp is null ? [] : [logSumExp.MoveToOuterDisposeScope()]);
    }

    /// <inheritdoc/>
    public (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor[] kept, Tensor gradient, bool areEncoded)
    {
        using var scope = NewDisposeScope();
        var heads = new EncodedHeads(bands, tiling.FirstQuery, queries, keys, values, workspace, areEncoded);
        var gradients = new EncodedGradients(heads);
        var upstream = heads.ByPair(gradient, "upstream");
        var delta = Delta(upstream, heads.ByPair(output, "downstream"));
        foreach (var tile in tiling.Backward(heads.Batch, heads.KeyHeads))
        {
            using var tileScope = NewDisposeScope();
            var dO = heads.ProductRows(upstream, tile); // [c, G*n, D]
            var weights = heads.Scores(tile); // [c, G, n, keys]
            var p = weights.Float32.sub_(heads.RowsOf(kept[0], tile)).exp2_();
            gradients.AddValues(tile, weights.Round(), dO); // dV += P^T dO
            var scoreGradients = heads.RowsByValues(tile, dO); // dP = dO V^T
            scoreGradients.Float32.sub_(heads.RowsOf(delta, tile)).mul_(p); // dS = P * (dP - delta)
            gradients.AddScores(tile, scoreGradients.Round()); // dQ += dS K, dK += dS^T Q
        }

        var (dq, dk, dv) = gradients.Decoded();
        return (dq.MoveToOuterDisposeScope(), dk.MoveToOuterDisposeScope(), dv.MoveToOuterDisposeScope());
    }

    /// <summary>FlashAttention's delta, the row sums of dO * O: [B*K, G, n, 1] float32.</summary>
    private static Tensor Delta(Tensor gradient, Tensor output)
    {
        using var scope = NewDisposeScope();
        return (gradient.to(ScalarType.Float32) * output).sum([-1], keepdim: true).MoveToOuterDisposeScope();
    }
}
