using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Evaluation.Measures;

/// <summary>
/// How much each pair of dimensions contributes to the scores of a query head: the product of its norms in query and key, averaged over
/// tokens. DPE selects pairs by it (arXiv 2504.18857; LuLuLuyi/DPE, dimension_selection/qk_2_norm_select_dim.py, commit 542c04f).
/// Rotations do not change it.
/// </summary>
/// <remarks>The authors' script repeats each key head 7 times, whatever the model; here it is paired with its own query heads.</remarks>
public static class PairContributions
{
    /// <summary>[L, H, R/2] the contributions on one document.</summary>
    /// <param name="model">The network.</param>
    /// <param name="methods">The position method of each layer.</param>
    /// <param name="tokens">[T] token ids.</param>
    public static double[] Measure(LlamaForCausalLM model, LayerPlan methods, int[] tokens)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var trace = new AttentionTrace(model, methods, tokens);
        var contributions = new List<double>();
        for (var n = 0; n < model.Layers.Count; n++)
        {
            using var layerScope = NewDisposeScope();
            var (_, queries, keys) = trace.Enter(n);
            contributions.AddRange(Of(queries[0], keys[0], model.Config.RotaryDim / 2));
            trace.Leave(n);
        }

        return [.. contributions];
    }

    /// <summary>[H, R/2] the contributions in one layer.</summary>
    /// <param name="queries">[H, T, D].</param>
    /// <param name="keys">[K, T, D].</param>
    /// <param name="half">R/2.</param>
    public static double[] Of(Tensor queries, Tensor keys, int half)
    {
        using var scope = NewDisposeScope();
        var products = Norms(queries) * Norms(keys).repeat_interleave(queries.shape[0] / keys.shape[0], 0); // [H, T, R/2]
        return products.mean([1], type: ScalarType.Float64).cpu().data<double>().ToArray();

        // [N, T, R/2] of [N, T, D]
        Tensor Norms(Tensor x) => x.narrow(-1, 0, 2 * half).to(ScalarType.Float32).unflatten(2, 2, half).square().sum(-2).sqrt();
    }

    /// <summary>The order of the pairs of each head, 0 for the largest contribution; of equal ones the faster pair comes first.</summary>
    /// <param name="contributions">[L, H, R/2].</param>
    /// <param name="pairs">R/2.</param>
    public static int[] Ranks(IReadOnlyList<double> contributions, int pairs)
    {
        var ranks = new int[contributions.Count];
        for (var head = 0; head < contributions.Count; head += pairs)
        {
            foreach (var (rank, pair) in Enumerable.Range(head, pairs).OrderByDescending(pair => contributions[pair]).Index())
            {
                ranks[pair] = rank;
            }
        }

        return ranks;
    }
}
