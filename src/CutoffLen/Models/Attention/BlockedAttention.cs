using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Exact attention over the bands of a plan, piece by piece: a block of queries in a few heads at a time. Softmax runs
/// over all bands together, keys that no query of a block sees are skipped, and memory is linear in T. The backward pass
/// recomputes the scores of one piece at a time from the log-sum-exp that the forward pass kept (FlashAttention, arXiv
/// 2205.14135, section 3.1), written as plain tensor operations: no custom autograd function is involved.
/// Shapes: B batch, H = K*G query heads, K key/value heads, n queries, T keys, D head dimension; c of the B*K pairs of a
/// row and a key/value head are in a piece.
/// </summary>
internal static class BlockedAttention
{
    /// <summary>
    /// Attention's result [B, H, n, D] and, where asked for, the float32 log-sum-exp of each query's scores,
    /// [B*K, G, n, 1], which <see cref="Backward"/> needs.
    /// </summary>
    public static (Tensor Output, Tensor? LogSumExp) Forward(
        AttentionPlan plan, Tensor queries, Tensor keys, Tensor values, bool keepLogSumExp)
    {
        using var scope = NewDisposeScope();
        var heads = new EncodedHeads(plan, queries, keys, values);
        var output = empty([heads.Pairs, heads.Group, heads.Queries, heads.HeadDim], values.dtype, values.device);
        var logSumExp = keepLogSumExp
            ? empty([heads.Pairs, heads.Group, heads.Queries, 1], ScalarType.Float32, values.device)
            : null;
        foreach (var tile in heads.Tiles(plan.Blocks))
        {
            using var tileScope = NewDisposeScope();
            var products = heads.QueriesByKeys(tile);
            var scores = heads.Scores(tile, products); // [c, G, n, all the block's keys]
            var most = scores.amax([-1], keepdim: true);
            var weights = scores.sub_(most).exp_();
            var total = weights.sum([-1], keepdim: true); // [c, G, n, 1]
            if (logSumExp is not null)
            {
                heads.RowsOf(logSumExp, tile).copy_(total.log().add_(most));
            }

            EncodedHeads.Round(weights, products);
            var attended = heads.WeightedValues(tile, products); // [c, G, n, D]
            heads.RowsOf(output, tile).copy_(attended / total);
        }

        return (output.view_as(queries).MoveToOuterDisposeScope(), logSumExp?.MoveToOuterDisposeScope());
    }

    /// <summary>The gradients of queries, keys and values, given that of the output, all in their shapes.</summary>
    public static (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        AttentionPlan plan, Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor logSumExp, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var heads = new EncodedHeads(plan, queries, keys, values);
        var gradients = new EncodedGradients(heads);
        var upstream = heads.ByPair(gradient);
        var along = Along(upstream, heads.ByPair(output));
        foreach (var tile in heads.Tiles(plan.KeyBlocks))
        {
            using var tileScope = NewDisposeScope();
            var rows = heads.ProductRows(upstream, tile); // [c, G*n, D]
            var products = heads.QueriesByKeys(tile);
            var weights = heads.Scores(tile, products).sub_(heads.RowsOf(logSumExp, tile)).exp_();
            EncodedHeads.Round(weights, products);
            gradients.AddValues(tile, products, rows);
            var slopes = heads.RowsByValues(tile, rows);
            EncodedHeads.Round(heads.Slopes(tile, slopes).sub_(heads.RowsOf(along, tile)).mul_(weights), slopes);
            gradients.AddScores(tile, slopes);
        }

        var (dq, dk, dv) = gradients.Decoded();
        return (dq.MoveToOuterDisposeScope(), dk.MoveToOuterDisposeScope(), dv.MoveToOuterDisposeScope());
    }

    /// <summary>Each result's product with its gradient, [B*K, G, n, 1] float32.</summary>
    private static Tensor Along(Tensor gradient, Tensor output)
    {
        using var scope = NewDisposeScope();
        return (gradient.to(ScalarType.Float32) * output).sum([-1], keepdim: true).MoveToOuterDisposeScope();
    }
}
