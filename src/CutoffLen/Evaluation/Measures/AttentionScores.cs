using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Evaluation.Measures;

/// <summary>Mean attention scores by distance, and the attention resolution that follows from them.</summary>
public static class AttentionScores
{
    /// <summary>
    /// The attention resolution of every layer on one text: the mean over the heads of each head's
    /// <see cref="AttentionResolution.Of"/>.
    /// </summary>
    /// <param name="model">The network.</param>
    /// <param name="method">How its attention sees positions.</param>
    /// <param name="tokens">[T] token ids; time grows with their square.</param>
    public static double[] Resolution(LlamaForCausalLM model, PositionMethod method, int[] tokens)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var plan = AttentionPlan.Create(method, TokenPositions.Sequential(tokens.Length), model.Config, model.Device);
        var x = model.Embed(tensor(tokens, ScalarType.Int64).to(model.Device).view(1, -1));
        var layers = new double[model.Layers.Count];
        for (var n = 0; n < layers.Length; n++)
        {
            using var layerScope = NewDisposeScope();
            var (queries, keys, _) = model.Layers[n].Project(x);
            layers[n] = ByDistance(plan, queries, keys).Average(head => AttentionResolution.Of(head));
            x = model.Layers[n].forward(x, plan, null).MoveToOuterDisposeScope();
        }

        return layers;
    }

    /// <summary>
    /// For each query head the mean score, before softmax and with the factor 1/sqrt(D), of the pairs at each distance
    /// 0 .. T - 1 (arXiv 2212.10554, equation 11); minus infinity at distances that the plan never shows.
    /// </summary>
    /// <param name="plan">How attention sees positions.</param>
    /// <param name="queries">[1, H, T, D], not encoded.</param>
    /// <param name="keys">[1, K, T, D], not encoded.</param>
    internal static double[][] ByDistance(AttentionPlan plan, Tensor queries, Tensor keys)
    {
        using var scope = NewDisposeScope();
        using var scratch = new ScratchBuffer();
        var encoded = new EncodedHeads(plan.Bands, plan.FirstQuery, queries, keys, keys);
        var (heads, length) = (queries.shape[1], plan.Length);
        var sums = zeros([heads, length], ScalarType.Float64, queries.device);
        var counts = zeros([length], ScalarType.Float64, queries.device);
        foreach (var tile in plan.Tiling.Forward(encoded.Pairs))
        {
            using var tileScope = NewDisposeScope();
            var block = tile.Block;
            var scores = encoded.Scores(tile, encoded.QueriesByKeys(tile), scratch).flatten(0, 1); // [c*G, n, keys of all slices]
            var (firstHead, tileHeads) = (tile.FirstPair * encoded.Group, scores.shape[0]);
            var rows = arange(block.Start, block.Start + block.Rows, ScalarType.Int64, queries.device).unsqueeze(-1);
            var offset = 0L;
            foreach (var slice in block.Slices)
            {
                var columns = arange(slice.FirstKey, slice.FirstKey + slice.KeyCount, ScalarType.Int64, queries.device);
                var distances = (rows - columns).flatten(); // [n * keys]
                var part = scores.narrow(-1, offset, slice.KeyCount).flatten(1).to(ScalarType.Float64); // [H, n * keys]
                // What a query does not see stands at minus infinity; the keys after it have negative distances.
                var seen = part[0].isfinite().logical_and(distances >= 0);
                var places = distances.clamp(min: 0);
                sums.narrow(0, firstHead, tileHeads).scatter_add_(1, places.expand(tileHeads, -1), where(seen, part, zeros_like(part)));
                if (firstHead == 0)
                {
                    counts.scatter_add_(0, places, seen.to(ScalarType.Float64)); // the same for every head
                }

                offset += slice.KeyCount;
            }
        }

        var means = where(counts > 0, sums / counts, full_like(sums, double.NegativeInfinity)).cpu();
        return [.. Enumerable.Range(0, (int)heads).Select(h => means[h].data<double>().ToArray())];
    }
}
