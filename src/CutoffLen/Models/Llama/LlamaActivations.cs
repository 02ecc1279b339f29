using CutoffLen.Hardware;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>
/// Consecutive tokens. Dense parts of the network run over ranges of tokens, so that the wide activations of the MLP exist for
/// one range at a time, and stay in a CPU's cache.
/// </summary>
internal readonly record struct TokenRange(long Start, long Count)
{
    private const long OnCpu = 2048;
    private const long OnGpu = 16_384; // enough to fill it

    /// <summary>The rows of this range in a tensor [N, x].</summary>
    public Tensor Of(Tensor x) => x.narrow(0, Start, Count);

    /// <summary>The most tokens of a range.</summary>
    public static long Most(bool onGpu) => onGpu ? OnGpu : OnCpu;

    /// <summary>Cuts the rows of a tensor [N, x].</summary>
    public static IEnumerable<TokenRange> Chunks(Tensor x)
    {
        var (count, most) = (x.shape[0], Most(x.device.type != DeviceType.CPU));
        for (long start = 0; start < count; start += most)
        {
            yield return new TokenRange(start, Math.Min(most, count - start));
        }
    }
}

/// <summary>A layer's queries [N, H*D], keys [N, K*D] and values [N, K*D], or their gradients.</summary>
internal sealed record LayerHeads(Tensor Queries, Tensor Keys, Tensor Values)
{
    /// <summary>Memory for the heads of the tokens of <paramref name="x"/> [N, C], of its dtype.</summary>
    public static LayerHeads Take(Workspace workspace, string suffix, LlamaConfig config, Tensor x)
    {
        var (queries, keys) = ((long)config.NumAttentionHeads * config.HeadDim, (long)config.NumKeyValueHeads * config.HeadDim);
        return new LayerHeads(Rows("queries", queries), Rows("keys", keys), Rows("values", keys));

        Tensor Rows(string name, long width) => workspace.Take(name + suffix, x.dtype, x.device, x.shape[0], width);
    }

    public LayerHeads Of(TokenRange range) => new(range.Of(Queries), range.Of(Keys), range.Of(Values));

    /// <summary>Views by head: [B, H, T, D], [B, K, T, D], [B, K, T, D].</summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Split(long batch, long headDim) =>
        (Split(Queries, batch, headDim), Split(Keys, batch, headDim), Split(Values, batch, headDim));

    /// <summary>[N, H*D] to [B, H, T, D], a view.</summary>
    public static Tensor Split(Tensor x, long batch, long headDim) =>
        x.view(batch, x.shape[0] / batch, -1, headDim).transpose(1, 2);

    /// <summary>[B, H, T, D] to [N, H*D].</summary>
    public static Tensor Join(Tensor x) => x.transpose(1, 2).reshape(x.shape[0] * x.shape[2], -1);
}

/// <summary>What the dense part after attention computes on its way, and may keep for the backward pass.</summary>
/// <param name="Middle">[N, C] the residual stream after attention.</param>
/// <param name="Gate">[N, I] the gate projection, before its activation; null where it is not kept.</param>
/// <param name="Up">[N, I] the up projection; null where it is not kept.</param>
internal sealed record DenseActivations(Tensor Middle, Tensor? Gate, Tensor? Up)
{
    /// <summary>Memory for the tokens of <paramref name="x"/> [N, C], of its dtype.</summary>
    public static DenseActivations Take(Workspace workspace, string suffix, LlamaConfig config, Tensor x, bool withMlp = false)
    {
        return new DenseActivations(Rows("middle", config.HiddenSize), withMlp ? Rows("gate", config.IntermediateSize) : null, withMlp ? Rows("up", config.IntermediateSize) : null);

        Tensor Rows(string name, long width) => workspace.Take(name + suffix, x.dtype, x.device, x.shape[0], width);
    }

    public DenseActivations Of(TokenRange range) =>
        new(range.Of(Middle), Gate is null ? null : range.Of(Gate), Up is null ? null : range.Of(Up));
}
