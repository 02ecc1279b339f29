using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Exact attention over the bands of a plan, tile by tile. Softmax runs over all bands together. Keys that no query of a
/// block sees are skipped, and memory is linear in T. The backward pass recomputes a tile's weights from the
/// log-sum-exp of the forward pass (FlashAttention, arXiv 2205.14135, section 3.1). It consists of plain tensor operations,
/// not of a custom autograd function.
/// <para>
/// Shapes: B batch, H = K*G query heads, K key/value heads, n queries, T keys, D head dimension; a tile has c of the B*K
/// pairs of a row and a key/value head. Names as in FlashAttention: P weights, O output, S scores, d before a gradient.
/// </para>
/// </summary>
internal sealed class BlockedAttention(IReadOnlyList<DeviceBand> bands, AttentionTiling tiling) : IDisposable
{
    private readonly ScratchBuffer scoreScratch = new();
    private readonly ScratchBuffer gradientScratch = new();

    /// <summary>
    /// Attention's result [B, H, n, D]. Where asked for, also what <see cref="Backward"/> needs: the float32 log-sum-exp of
    /// each query's scores, [B*K, G, n, 1].
    /// </summary>
    public (Tensor Output, Tensor? LogSumExp) Forward(Tensor queries, Tensor keys, Tensor values, bool keepLogSumExp)
    {
        using var scope = NewDisposeScope();
        var heads = new EncodedHeads(bands, tiling.FirstQuery, queries, keys, values);
        var output = empty([heads.Pairs, heads.Group, heads.Queries, heads.HeadDim], values.dtype, values.device);
        var logSumExp = keepLogSumExp
            ? empty([heads.Pairs, heads.Group, heads.Queries, 1], ScalarType.Float32, values.device)
            : null;
        foreach (var tile in tiling.Forward(heads.Pairs))
        {
            using var tileScope = NewDisposeScope();
            var products = heads.QueriesByKeys(tile); // per slice [c, G*n, keys]
            var s = heads.Scores(tile, products, scoreScratch); // [c, G, n, all the block's keys]
            var max = s.amax([-1], keepdim: true);
            var p = s.sub_(max).exp_();
            var total = p.sum([-1], keepdim: true); // [c, G, n, 1]
            if (logSumExp is not null)
            {
                heads.RowsOf(logSumExp, tile).copy_(total.log().add_(max));
            }

            var attended = heads.WeightedValues(tile, EncodedHeads.Round(p, output: products)); // [c, G, n, D]
            heads.RowsOf(output, tile).copy_(attended / total);
        }

        return (output.view_as(queries).MoveToOuterDisposeScope(), logSumExp?.MoveToOuterDisposeScope());
    }

    /// <summary>The gradients of queries, keys and values, in their shapes, from that of the output.</summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor logSumExp, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var heads = new EncodedHeads(bands, tiling.FirstQuery, queries, keys, values);
        var gradients = new EncodedGradients(heads);
        var upstream = heads.ByPair(gradient);
        var delta = Delta(upstream, heads.ByPair(output));
        foreach (var tile in tiling.Backward(heads.Pairs))
        {
            using var tileScope = NewDisposeScope();
            var dO = heads.ProductRows(upstream, tile); // [c, G*n, D]
            var products = heads.QueriesByKeys(tile); // per slice [c, G*n, keys]
            var p = heads.Scores(tile, products, scoreScratch).sub_(heads.RowsOf(logSumExp, tile)).exp_(); // [c, G, n, keys]
            gradients.AddValues(tile, EncodedHeads.Round(p, output: products), dO); // dV += P^T dO
            var dP = heads.RowsByValues(tile, dO); // dO V^T
            var dS = heads.ToFloat32(tile, dP, gradientScratch).sub_(heads.RowsOf(delta, tile)).mul_(p); // P * (dP - delta)
            gradients.AddScores(tile, EncodedHeads.Round(dS, output: dP)); // dQ += dS K, dK += dS^T Q
        }

        var (dq, dk, dv) = gradients.Decoded();
        return (dq.MoveToOuterDisposeScope(), dk.MoveToOuterDisposeScope(), dv.MoveToOuterDisposeScope());
    }

    public void Dispose()
    {
        scoreScratch.Dispose();
        gradientScratch.Dispose();
    }

    /// <summary>FlashAttention's delta, the row sums of dO * O: [B*K, G, n, 1] float32.</summary>
    private static Tensor Delta(Tensor gradient, Tensor output)
    {
        using var scope = NewDisposeScope();
        return (gradient.to(ScalarType.Float32) * output).sum([-1], keepdim: true).MoveToOuterDisposeScope();
    }
}

/// <summary>
/// Float32 memory that is used again for every tile of every layer. On fresh memory a CPU spends longer on page faults
/// than on the arithmetic.
/// </summary>
internal sealed class ScratchBuffer : IDisposable
{
    private Tensor? buffer; // [elements of the largest tile so far]

    /// <summary>A tensor of this shape in the buffer; what was given out before is overwritten.</summary>
    public Tensor Take(long[] shape, Device device)
    {
        var count = shape.Aggregate(1L, (a, b) => a * b);
        if (buffer is null || buffer.shape[0] < count)
        {
            buffer?.Dispose();
            buffer = empty([count], ScalarType.Float32, device).DetachFromDisposeScope();
        }

        return buffer.narrow(0, 0, count).view(shape);
    }

    public void Dispose()
    {
        buffer?.Dispose();
        buffer = null;
    }
}
