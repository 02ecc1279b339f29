using static TorchSharp.torch;

namespace CutoffLen.Models;

/// <summary>
/// Exact attention over the bands of a plan, block by block of queries: softmax runs over all bands together, keys
/// that no query of a block sees are skipped, and memory is linear in T. The backward pass recomputes the scores
/// of one block at a time from the log-sum-exp that the forward pass kept (FlashAttention, arXiv 2205.14135,
/// section 3.1), written as plain tensor operations: no custom autograd function is involved.
/// Shapes: B batch, H = K*G query heads, K key/value heads, n queries, T keys, D head dimension.
/// </summary>
internal static class BlockedAttention
{
    /// <summary>
    /// Attention's result [B, H, n, D] and, where asked for, the float32 log-sum-exp of each query's scores,
    /// [B, K, G, n, 1], which <see cref="Backward"/> needs.
    /// </summary>
    public static (Tensor Output, Tensor? LogSumExp) Forward(
        AttentionPlan plan, Tensor queries, Tensor keys, Tensor values, bool keepLogSumExp)
    {
        using var scope = NewDisposeScope();
        var heads = new EncodedHeads(plan, queries, keys, values);
        var output = empty([heads.Batch, heads.Queries, heads.Heads, heads.HeadDim], values.dtype, values.device);
        var logSumExp = keepLogSumExp
            ? empty([heads.Batch, heads.KeyHeads, heads.Group, heads.Queries, 1], ScalarType.Float32, values.device)
            : null;
        foreach (var block in plan.Blocks((int)heads.Batch, (int)heads.Heads))
        {
            using var blockScope = NewDisposeScope();
            var at = block.Start - plan.FirstQuery;
            var scores = heads.Scores(block); // [B, K, G, n, all the block's keys]
            var most = scores.amax([-1], keepdim: true);
            var weights = scores.sub_(most).exp_();
            var total = weights.sum([-1], keepdim: true);
            logSumExp?.narrow(3, at, block.Rows).copy_(total.log().add_(most));
            var attended = heads.WeightedValues(block, weights.to(values.dtype)); // [B*K, G*n, D]
            attended.div_(total.view(attended.shape[0], attended.shape[1], 1).to(values.dtype));
            output.narrow(1, at, block.Rows).copy_(heads.MergeHeads(attended)); // [B, n, H, D]
        }

        return (output.transpose(1, 2).MoveToOuterDisposeScope(), logSumExp?.MoveToOuterDisposeScope());
    }

    /// <summary>The gradients of queries, keys and values, given that of the output, all in their shapes.</summary>
    public static (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        AttentionPlan plan, Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor logSumExp, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var heads = new EncodedHeads(plan, queries, keys, values);
        var gradients = new EncodedGradients(heads);
        var along = heads.SplitHeads((gradient.to(ScalarType.Float32) * output).sum([-1], keepdim: true)); // [B,K,G,n,1]
        foreach (var block in plan.Blocks((int)heads.Batch, (int)heads.Heads))
        {
            using var blockScope = NewDisposeScope();
            var at = block.Start - plan.FirstQuery;
            var upstream = heads.QueryRows(gradient, at, block.Rows); // [B*K, G*n, D]
            var weights = heads.Scores(block).sub_(logSumExp.narrow(3, at, block.Rows)).exp_();
            gradients.AddValues(block, weights.to(values.dtype), upstream);
            var slope = heads.GradientOfWeights(block, upstream).sub_(along.narrow(3, at, block.Rows)).mul_(weights);
            gradients.AddScores(block, slope.to(values.dtype));
        }

        var (dq, dk, dv) = gradients.Decoded();
        return (dq.MoveToOuterDisposeScope(), dk.MoveToOuterDisposeScope(), dv.MoveToOuterDisposeScope());
    }
}
