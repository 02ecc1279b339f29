using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Evaluation.Measures;

/// <summary>
/// The distributions that attention rows are, from the view of Understanding the RoPE Extensions of Long-Context LLMs (arXiv
/// 2406.13282): how uncertain they are, and how far a position method moves them from the checkpoint's own.
/// </summary>
/// <param name="Entropy">
/// For each layer the attention entropy -sum p ln p (appendix C, algorithm 1), nats, averaged over heads and queries.
/// </param>
/// <param name="Divergence">For each layer the Jensen-Shannon divergence, nats, between 0 and ln 2, averaged likewise.</param>
/// <param name="EntropyByPosition">[T] the entropy by the query's position, averaged over heads and layers.</param>
/// <param name="DivergenceByPosition">[T] the divergence likewise.</param>
/// <remarks>
/// The paper averages the entropy over generated tokens and does not say how over heads and layers; here all queries of a
/// document but the first count, and heads and layers are averaged. Its table 1 has divergences up to 2.57, more than ln 2
/// or one bit, so its figures must carry a factor that the text does not give: only orders can be compared with it.
/// </remarks>
public sealed record AttentionDistributions(
    IReadOnlyList<double> Entropy, IReadOnlyList<double> Divergence, double[] EntropyByPosition, double[] DivergenceByPosition)
{
    // Weights of a chunk of queries: 64 MiB a method in float32.
    private const int WeightsOfChunk = 16 << 20;

    /// <summary>
    /// Measures one document. Both methods run through all layers, each on its own hidden states. Memory is linear in T: rows
    /// are computed a chunk of queries at a time.
    /// </summary>
    /// <param name="model">The network.</param>
    /// <param name="methods">The position method of each layer.</param>
    /// <param name="original">The checkpoint's own.</param>
    /// <param name="tokens">[T] token ids, at least two; time grows with T^2.</param>
    public static AttentionDistributions Measure(LlamaForCausalLM model, LayerPlan methods, LayerPlan original, int[] tokens)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var trace = new AttentionTrace(model, methods, tokens, " traced");
        using var baseline = new AttentionTrace(model, original, tokens, " traced originally");
        var entropy = new double[model.Layers.Count][]; // by layer and position, averaged over heads
        var divergence = new double[model.Layers.Count][];
        for (var n = 0; n < entropy.Length; n++)
        {
            using var layerScope = NewDisposeScope();
            (entropy[n], divergence[n]) = Compare(trace.Enter(n), baseline.Enter(n));
            trace.Leave(n);
            baseline.Leave(n);
        }

        return new AttentionDistributions(OverQueries(entropy), OverQueries(divergence), OverLayers(entropy), OverLayers(divergence));
    }

    // The first token sees itself alone.
    private static double[] OverQueries(double[][] layers) => Array.ConvertAll(layers, layer => layer.Skip(1).Average());

    private static double[] OverLayers(double[][] layers) => [.. layers[0].Select((_, position) => layers.Average(layer => layer[position]))];

    /// <summary>[T] entropies of the first, and divergences from the second, averaged over heads.</summary>
    private static (double[] Entropy, double[] Divergence) Compare(
        (AttentionPlan Plan, Tensor Queries, Tensor Keys) own, (AttentionPlan Plan, Tensor Queries, Tensor Keys) original)
    {
        var (heads, length) = ((int)own.Queries.shape[1], own.Plan.Length);
        var (ownRows, originalRows) = (new AttentionRows(own.Plan, own.Queries, own.Keys), new AttentionRows(original.Plan, original.Queries, original.Keys));
        var (entropy, divergence) = (new double[length], new double[length]);
        var most = Math.Clamp(WeightsOfChunk / heads / length, 1, length);
        for (var start = 0; start < length; start += most)
        {
            using var chunkScope = NewDisposeScope();
            var rows = Math.Min(most, length - start);
            var (p, q) = (ownRows.Weights(start, rows), originalRows.Weights(start, rows)); // [H, n, keys]
            var (ofP, ofQ) = (EntropyOf(p), EntropyOf(q));
            var ofMean = EntropyOf(p.add_(q).mul_(Kept(0.5)));
            Copy(ofP, entropy, start);
            Copy(ofMean - (ofP + ofQ).mul_(Kept(0.5)), divergence, start);
        }

        return (entropy, divergence);
    }

    private static Tensor EntropyOf(Tensor weights) => special.entr(weights).sum(-1); // [H, n]

    private static void Copy(Tensor byHead, double[] target, int start) =>
        byHead.mean([0], type: ScalarType.Float64).cpu().data<double>().ToArray().CopyTo(target, start);
}

/// <summary>The attention weights of one layer's queries over all keys before them, a chunk of queries at a time.</summary>
internal sealed class AttentionRows(AttentionPlan plan, Tensor queries, Tensor keys)
{
    private readonly AttentionTiling tiling = plan.Tiling;
    private readonly EncodedHeads encoded = new(plan.Bands, plan.FirstQuery, queries, keys, keys, plan.Workspace);

    /// <summary>Softmax over all bands, [H, n, start + n]; 0 where the plan hides a key.</summary>
    public Tensor Weights(int start, int rows)
    {
        var weights = zeros([encoded.KeyHeads, encoded.Group, rows, start + rows], ScalarType.Float32, encoded.Device);
        using var chunk = tiling.Window(start, start + rows);
        foreach (var tile in chunk.Forward(encoded.Batch, encoded.KeyHeads))
        {
            using var tileScope = NewDisposeScope();
            var scores = encoded.Scores(tile).Float32; // [c, G, n, keys of all slices], to the base 2
            scores.sub_(scores.amax([-1], keepdim: true)).exp2_();
            scores.div_(scores.sum([-1], keepdim: true));
            var ofTile = weights.narrow(0, tile.FirstPair, tile.Pairs).narrow(2, tile.Block.Start - start, tile.Block.Rows);
            foreach (var (slice, column) in tile.Columns())
            {
                ofTile.narrow(-1, slice.FirstKey, slice.KeyCount).add_(scores.narrow(-1, column, slice.KeyCount));
            }
        }

        return weights.flatten(0, 1);
    }
}
