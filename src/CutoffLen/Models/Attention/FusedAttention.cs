using CutoffLen.Positions;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Plain causal attention through libtorch's own operator, which is linear in memory where a fused kernel takes the case
/// (FlashAttention, arXiv 2205.14135). Shapes as in <see cref="AttentionPlan"/>.
/// </summary>
internal static class FusedAttention
{
    /// <summary>Whether these bands are what the operator knows: one rotation of queries and keys, and the whole causal square.</summary>
    public static bool Takes(IReadOnlyList<DeviceBand> bands) =>
        bands is [{ Band: { Queries: Rotation, BiasSlopes: null } only }]
        && ReferenceEquals(only.Queries, only.Keys)
        && Array.TrueForAll(only.First, first => first == 0)
        && only.Last.Index().All(last => last.Item == last.Index);

    /// <summary>Attention's result, with a graph where the inputs want one.</summary>
    public static Tensor Forward(AttentionPlan plan, Tensor queries, Tensor keys, Tensor values)
    {
        using var scope = NewDisposeScope();
        // The operator has the factor 1/sqrt(D) itself, so queries are encoded as keys are.
        var encoding = plan.Bands[0].Keys;
        return scaled_dot_product_attention(
            encoding.Apply(queries, 0), ForEachQuery(encoding.Apply(keys, 0)), ForEachQuery(values), is_casual: true).MoveToOuterDisposeScope();

        Tensor ForEachQuery(Tensor x) => plan.Group == 1 ? x : x.repeat_interleave(plan.Group, 1); // [B, H, T, D]
    }

    /// <summary>
    /// The gradients of queries, keys and values. The operator runs again, with a graph: that costs a third of its
    /// backward pass, and keeping every layer's graph would cost the memory of encoded and repeated heads.
    /// </summary>
    public static (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        AttentionPlan plan, Tensor queries, Tensor keys, Tensor values, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var graph = enable_grad();
        var (q, k, v) = (Leaf(queries), Leaf(keys), Leaf(values));
        autograd.backward([Forward(plan, q, k, v)], [gradient]);
        return (q.grad!.MoveToOuterDisposeScope(), k.grad!.MoveToOuterDisposeScope(), v.grad!.MoveToOuterDisposeScope());

        static Tensor Leaf(Tensor x) => x.detach().requires_grad_();
    }
}
