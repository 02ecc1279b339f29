using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>
/// Consecutive tokens. Dense parts of the network run over ranges of tokens, so that the wide activations of the MLP exist for
/// one range at a time. On a CPU ranges of 512 to 2048 tokens are equally fast.
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
    public static IEnumerable<TokenRange> Chunks(Tensor x) => Chunks(x, x.shape[0]);

    /// <summary>Cuts the rows of a tensor [B*T, x] so that a range has whole sequences of T tokens, or lies inside one.</summary>
    public static IEnumerable<TokenRange> Chunks(Tensor x, long length)
    {
        var (count, most) = (x.shape[0], Most(x.device.type != DeviceType.CPU));
        for (long start = 0, size; start < count; start += size)
        {
            size = length <= most
                ? Math.Min(most / length * length, count - start)
                : Math.Min(most, length - (start % length));
            yield return new TokenRange(start, size);
        }
    }
}

/// <summary>
/// The position encoding that queries and keys of a layer share, applied where they are projected: [n, H*D] rows that begin at
/// a token of a row of the batch.
/// </summary>
/// <param name="Encoding">The encoding; null where attention applies its encodings itself.</param>
/// <param name="Length">T, tokens of a row of the batch.</param>
/// <param name="HeadDim">D.</param>
internal readonly record struct RowEncoding(DeviceEncoding? Encoding, long Length, long HeadDim)
{
    /// <summary>Encodes projected rows [n, H*D] into <paramref name="output"/>.</summary>
    public void Apply(TokenRange range, Tensor rows, Tensor output, Workspace workspace) =>
        Encoding!.Apply(ByHead(rows, range), Start(range), ByHead(output, range), workspace);

    /// <summary>The transposed map, for gradients.</summary>
    public void ApplyTransposed(TokenRange range, Tensor rows, Tensor output, Workspace workspace) =>
        Encoding!.ApplyTransposed(ByHead(rows, range), Start(range), ByHead(output, range), workspace);

    private int Start(TokenRange range) => (int)(range.Start % Length);

    /// <summary>[n, H*D] to [b, H, t, D], a view: b whole sequences, or t tokens of one.</summary>
    private Tensor ByHead(Tensor rows, TokenRange range) => LayerHeads.Split(rows, Math.Max(1, range.Count / Length), HeadDim);
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
