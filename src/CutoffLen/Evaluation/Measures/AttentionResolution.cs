using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Evaluation.Measures;

/// <summary>Attention resolution of each layer without and with blockwise causal attention (BCA).</summary>
/// <param name="Layers">All keys before a query are visible.</param>
/// <param name="WithBca">Those of its own and the previous half of a window are.</param>
/// <param name="Bca">The spec of the latter.</param>
public sealed record ResolutionByLayer(IReadOnlyList<double> Layers, IReadOnlyList<double> WithBca, string Bca);

/// <summary>
/// Attention resolution (A Length-Extrapolatable Transformer, arXiv 2212.10554): how well attention scores tell distances
/// apart. s[n] is the expected score, before softmax, of a query and the key n tokens before it (equation 11: the mean
/// over the queries). Equation 3 is <c>R = sum_i e^s[i] (e^s[i] - e^s[i+1]) / (sum_i e^s[i])^2</c>.
/// </summary>
/// <remarks>
/// The sums run over the distances 0 .. N - 1, where s[N] is the last known score. With p = softmax(s), R is the sum of
/// p[i] (p[i] - p[i+1]). It is at most 1, when all of the mass is at one distance. The paper's table 3 has values up to
/// 1.08, so its figures must carry a factor that the text does not give. Compare resolutions of this program with each
/// other only.
/// </remarks>
public static class AttentionResolution
{
    /// <summary>R of expected scores by distance.</summary>
    /// <param name="scores">s[0] .. s[N], at least two.</param>
    public static double Of(ReadOnlySpan<double> scores)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(scores.Length, 2);
        // Adding a constant to every score does not change R. Minus the largest score, e^s cannot overflow.
        var largest = double.NegativeInfinity;
        foreach (var score in scores)
        {
            largest = Math.Max(largest, score);
        }

        double numerator = 0, mass = 0;
        for (var i = 0; i < scores.Length - 1; i++)
        {
            var here = Math.Exp(scores[i] - largest);
            numerator += here * (here - Math.Exp(scores[i + 1] - largest));
            mass += here;
        }

        return numerator / (mass * mass);
    }

    /// <summary>The attention resolution of every layer on one document, without blockwise causal attention and with it.</summary>
    /// <param name="model">The network.</param>
    /// <param name="spec">The position method; its own window is kept where it has the modifier, else the native length is.</param>
    /// <param name="tokens">[T] token ids, more than a window: within one nothing is hidden.</param>
    public static ResolutionByLayer OffAndOn(LlamaForCausalLM model, PositionSpec spec, int[] tokens)
    {
        PositionSetup Setup(PositionSpec of) => model.Config.SetupFor(of, tokens.Length);
        var on = Setup(PositionMethods.With(spec, BlockwiseCausalMethod.Entry));
        var off = Setup(PositionMethods.Without(spec, BlockwiseCausalMethod.Entry));
        return new ResolutionByLayer(Measure(model, off.Layers, tokens), Measure(model, on.Layers, tokens), $"{on.Spec}");
    }

    /// <summary>The attention resolution of every layer on one document: the mean over its heads.</summary>
    /// <param name="model">The network.</param>
    /// <param name="methods">The position method of each layer.</param>
    /// <param name="tokens">[T] token ids; time grows with T^2.</param>
    public static double[] Measure(LlamaForCausalLM model, LayerPlan methods, int[] tokens)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var trace = new AttentionTrace(model, methods, tokens);
        var layers = new double[model.Layers.Count];
        for (var n = 0; n < layers.Length; n++)
        {
            using var layerScope = NewDisposeScope();
            var (plan, queries, keys) = trace.Enter(n);
            layers[n] = ScoresByDistance(plan, queries, keys).Average(head => Of(head));
            trace.Leave(n);
        }

        return layers;
    }

    /// <summary>
    /// For each query head the mean score of the pairs at each distance 0 .. T - 1 (equation 11): before softmax, with the
    /// factor 1/sqrt(D). Minus infinity at distances that the plan masks.
    /// </summary>
    /// <param name="plan">The attention plan.</param>
    /// <param name="queries">[1, H, T, D], not encoded.</param>
    /// <param name="keys">[1, K, T, D], not encoded.</param>
    internal static double[][] ScoresByDistance(AttentionPlan plan, Tensor queries, Tensor keys)
    {
        using var scope = NewDisposeScope();
        var encoded = new EncodedHeads(plan.Bands, plan.FirstQuery, queries, keys, keys, plan.Workspace);
        var (heads, length) = (queries.shape[1], plan.Length);
        var sums = zeros([heads, length], ScalarType.Float64, queries.device);
        var counts = zeros([length], ScalarType.Float64, queries.device);
        foreach (var tile in plan.Tiling.Forward(encoded.Batch, encoded.KeyHeads))
        {
            using var tileScope = NewDisposeScope();
            var block = tile.Block;
            var scores = encoded.Scores(tile).Float32.flatten(0, 1).div_(Kept(EncodedHeads.ScoreFactor)); // [c*G, n, keys of all slices]
            var (firstHead, tileHeads) = (tile.FirstPair * encoded.Group, scores.shape[0]);
            var rows = arange(Kept(block.Start), Kept(block.Start + block.Rows), ScalarType.Int64, queries.device).unsqueeze(-1);
            var offset = 0L;
            foreach (var slice in block.Slices)
            {
                var columns = arange(Kept(slice.FirstKey), Kept(slice.FirstKey + slice.KeyCount), ScalarType.Int64, queries.device);
                var distances = (rows - columns).flatten(); // [n * keys]
                var part = scores.narrow(-1, offset, slice.KeyCount).flatten(1).to(ScalarType.Float64); // [H, n * keys]
                // Masked scores are minus infinity; keys after the query have negative distances.
                var seen = part[0].isfinite().logical_and(distances >= Kept(0));
                var bins = distances.clamp(min: Kept(0));
                sums.narrow(0, firstHead, tileHeads).scatter_add_(1, bins.expand(tileHeads, -1), where(seen, part, zeros_like(part)));
                if (firstHead == 0)
                {
                    counts.scatter_add_(0, bins, seen.to(ScalarType.Float64)); // the same for every head
                }

                offset += slice.KeyCount;
            }
        }

        var means = where(counts > Kept(0), sums / counts, full_like(sums, Kept(double.NegativeInfinity))).cpu();
        return [.. Enumerable.Range(0, (int)heads).Select(h => means[h].data<double>().ToArray())];
    }
}
