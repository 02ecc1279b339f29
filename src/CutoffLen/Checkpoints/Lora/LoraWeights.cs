using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>The values of one module's adapter, in float32: what it adds to the module's weight W.</summary>
/// <param name="Module">The module.</param>
/// <param name="A">[r, in].</param>
/// <param name="B">[out, r].</param>
/// <param name="Magnitude">[out] DoRA's magnitudes, or null.</param>
/// <param name="BaseChange">What is removed from W first.</param>
internal sealed record LoraWeights(LoraModule Module, Tensor A, Tensor B, Tensor? Magnitude, BaseChange BaseChange)
{
    /// <summary>
    /// A [r', in] and B [out, r'] with the scale in B, and what is removed from W as further rows of A and columns of B
    /// (PEFT's subtract_mutated_init): the adapter adds B A to W.
    /// </summary>
    /// <param name="weight">W as an [out, in] matrix; read only where a part is removed from it.</param>
    public (Tensor A, Tensor B) Factored(Tensor? weight)
    {
        using var scope = NewDisposeScope();
        var scaled = B * Kept(Module.Scale);
        if (Module.IsEmbedding || BaseChange == BaseChange.None)
        {
            return (A, scaled.MoveToOuterDisposeScope()); // PEFT changes linear layers only
        }

        var (rows, columns) = RemovedPart(weight!.to(ScalarType.Float32));
        return (cat([A, rows], 0).MoveToOuterDisposeScope(), cat([scaled, -columns], 1).MoveToOuterDisposeScope());
    }

    /// <summary>
    /// The module's weight with the adapter added into it: W + B A; with DoRA m (W + B A) / ||W + B A||, the norm over each
    /// output's inputs. Summed in float32 and rounded once to the weight's dtype.
    /// </summary>
    /// <param name="weight">[out, in], or the embedding's [in, out].</param>
    public Tensor AddedTo(Tensor weight)
    {
        using var scope = NewDisposeScope();
        var matrix = Module.IsEmbedding ? weight.t() : weight; // [out, in]
        var (a, b) = Factored(matrix);
        var merged = b.mm(a).add_(matrix);
        if (Magnitude is not null)
        {
            merged.mul_((Magnitude / merged.square().sum(1).sqrt()).unsqueeze(-1));
        }

        return (Module.IsEmbedding ? merged.t() : merged).to(weight.dtype).contiguous().MoveToOuterDisposeScope();
    }

    /// <summary>
    /// What PEFT removes from a weight [out, in] as it adds the adapter (LoraLayer.pissa_init, olora_init), as the product of
    /// [out, r] and the first result, [r, in]. It depends neither on the signs of singular vectors nor on those of Q's columns.
    /// </summary>
    private (Tensor Rows, Tensor Columns) RemovedPart(Tensor weight)
    {
        if (BaseChange == BaseChange.Pissa)
        {
            var (u, s, vh) = linalg.svd(weight, fullMatrices: false);
            var rank = Math.Min(Module.R, s.shape[0]);
            return (vh.narrow(0, 0, rank), u.narrow(1, 0, rank) * s.narrow(0, 0, rank));
        }

        var (q, r) = linalg.qr(weight);
        var count = Math.Min(Module.R, r.shape[0]);
        return (r.narrow(0, 0, count), q.narrow(1, 0, count) * Kept(Module.Scale));
    }
}
