using CutoffLen.Positions;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Plain causal attention through libtorch's scaled_dot_product_attention. It is linear in memory where libtorch has a
/// fused kernel for the case (FlashAttention, arXiv 2205.14135). Shapes as in <see cref="AttentionPlan"/>.
/// </summary>
internal sealed class FusedAttention
{
    private readonly DeviceEncoding encoding; // of queries too: the operator has the factor 1/sqrt(D) itself

    private FusedAttention(DeviceEncoding encoding) => this.encoding = encoding;

    /// <summary>Fused attention where the operator supports the bands: one rotation, the whole causal square; else null.</summary>
    public static FusedAttention? For(IReadOnlyList<DeviceBand> bands) =>
        bands is [{ Band: { Queries: Rotation, BiasSlopes: null } only }]
        && ReferenceEquals(only.Queries, only.Keys)
        && Array.TrueForAll(only.First, first => first == 0)
        && only.Last.Index().All(last => last.Item == last.Index)
            ? new FusedAttention(bands[0].Keys)
            : null;

    /// <summary>Attention's result, with a graph where the inputs require gradients.</summary>
    public Tensor Forward(Tensor queries, Tensor keys, Tensor values)
    {
        using var scope = NewDisposeScope();
        var group = queries.shape[1] / keys.shape[1];
        return scaled_dot_product_attention(
            encoding.Apply(queries, 0), ForEachQuery(encoding.Apply(keys, 0)), ForEachQuery(values), is_casual: true).MoveToOuterDisposeScope();

        Tensor ForEachQuery(Tensor x) => group == 1 ? x : x.repeat_interleave(group, 1); // [B, H, T, D]
    }

    /// <summary>
    /// The gradients of queries, keys and values. The operator runs again, with a graph, at a third of the cost of its
    /// backward pass. Kept graphs would cost every layer's encoded and repeated heads.
    /// </summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Backward(Tensor queries, Tensor keys, Tensor values, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        using var graph = enable_grad();
        var (q, k, v) = (Leaf(queries), Leaf(keys), Leaf(values));
        autograd.backward([Forward(q, k, v)], [gradient]);
        return (q.grad!.MoveToOuterDisposeScope(), k.grad!.MoveToOuterDisposeScope(), v.grad!.MoveToOuterDisposeScope());

        static Tensor Leaf(Tensor x) => x.detach().requires_grad_();
    }
}
