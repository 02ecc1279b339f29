using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>What computes an <see cref="AttentionPlan"/>'s attention, without autograd.</summary>
internal interface IAttention
{
    /// <summary>The result [B, H, n, D], in memory where a token's heads lie together, and what the backward pass needs beside it.</summary>
    /// <param name="queries">[B, H, n, D].</param>
    /// <param name="keys">[B, K, T, D].</param>
    /// <param name="values">[B, K, T, D].</param>
    /// <param name="keepLogSumExp">Whether a backward pass follows.</param>
    /// <param name="areEncoded">Whether queries and keys have the <see cref="AttentionPlan.SharedEncoding"/> already.</param>
    (Tensor Output, Tensor[] Kept) Forward(Tensor queries, Tensor keys, Tensor values, bool keepLogSumExp, bool areEncoded);

    /// <summary>The gradients of queries, keys and values as they were given, in their shapes, from that of the output.</summary>
    (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor[] kept, Tensor gradient, bool areEncoded);
}
