using CutoffLen.Hardware;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Plain causal attention inside documents through libtorch's fused kernels (FlashAttention, arXiv 2205.14135), which are
/// linear in memory. Each document is a call of its own. Shapes as in <see cref="AttentionPlan"/>.
/// </summary>
internal sealed class FusedAttention
{
    private readonly DeviceEncoding encoding; // of queries too: the kernel has the factor 1/sqrt(D) itself
    private readonly IReadOnlyList<(long Start, long Length)> documents;
    private readonly Workspace workspace;

    private FusedAttention(DeviceEncoding encoding, IReadOnlyList<(long Start, long Length)> documents, Workspace workspace) =>
        (this.encoding, this.documents, this.workspace) = (encoding, documents, workspace);

    /// <summary>Fused attention where the kernels support the bands: one rotation, and all tokens before it of a query's document; else null.</summary>
    public static FusedAttention? For(IReadOnlyList<DeviceBand> bands, Workspace workspace) =>
        bands is [{ Band: { Queries: Rotation, BiasSlopes: null } only }] && ReferenceEquals(only.Queries, only.Keys) && Documents(only) is { } documents
            ? new FusedAttention(bands[0].Keys, documents, workspace)
            : null;

    /// <summary>The result [B, H, T, D], in memory where a token's heads lie together, and what the backward pass needs beside it.</summary>
    public (Tensor Output, Tensor[] Kept) Forward(Tensor queries, Tensor keys, Tensor values)
    {
        using var scope = NewDisposeScope();
        var (q, k) = Encoded(queries, keys);
        if (documents.Count == 1)
        {
            var (whole, kept) = Kernels.FlashAttention(q, k, values);
            return (whole.MoveToOuterDisposeScope(), [.. kept.Select(tensor => tensor.MoveToOuterDisposeScope())]);
        }

        var (output, keptOfAll) = (ByToken(queries), new List<Tensor>());
        foreach (var (start, length) in documents)
        {
            using var document = NewDisposeScope();
            var (part, kept) = Kernels.FlashAttention(Of(q), Of(k), Of(values));
            Of(output).copy_(part);
            keptOfAll.AddRange(kept.Select(tensor => tensor.DetachFromDisposeScope()));

            Tensor Of(Tensor x) => x.narrow(2, start, length);
        }

        return (output.MoveToOuterDisposeScope(), [.. keptOfAll]);
    }

    /// <summary>The gradients of queries, keys and values.</summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor[] kept, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var (q, k) = Encoded(queries, keys);
        var (dq, dk, dv) = (ByToken(queries), ByToken(keys), ByToken(values));
        var each = kept.Length / documents.Count;
        foreach (var (n, (start, length)) in documents.Index())
        {
            using var document = NewDisposeScope();
            var (queryPart, keyPart, valuePart) = Kernels.FlashAttentionBackward(
                Of(gradient), Of(q), Of(k), Of(values), Of(output), kept[(n * each)..((n + 1) * each)]);
            encoding.ApplyTransposed(queryPart, (int)start, Of(dq), workspace);
            encoding.ApplyTransposed(keyPart, (int)start, Of(dk), workspace);
            Of(dv).copy_(valuePart);

            Tensor Of(Tensor x) => x.narrow(2, start, length);
        }

        return (dq.MoveToOuterDisposeScope(), dk.MoveToOuterDisposeScope(), dv.MoveToOuterDisposeScope());
    }

    private (Tensor Queries, Tensor Keys) Encoded(Tensor queries, Tensor keys)
    {
        return (Encode(queries, "encoded queries"), Encode(keys, "encoded keys"));

        Tensor Encode(Tensor x, string name)
        {
            var encoded = workspace.Take(name, x.dtype, x.device, x.shape[0], x.shape[2], x.shape[1], x.shape[3]).transpose(1, 2);
            encoding.Apply(x, 0, encoded, workspace);
            return encoded;
        }
    }

    /// <summary>New memory of the shape of x, [B, H, T, D], in which a token's heads lie together.</summary>
    private static Tensor ByToken(Tensor x) =>
        empty([x.shape[0], x.shape[2], x.shape[1], x.shape[3]], x.dtype, x.device).transpose(1, 2);

    /// <summary>The documents of a band whose queries see all of their document before them; null for another band.</summary>
    private static List<(long Start, long Length)>? Documents(Band band)
    {
        var starts = new List<int>();
        for (var i = 0; i < band.First.Length; i++)
        {
            if (band.First[i] == i)
            {
                starts.Add(i);
            }

            if (band.Last[i] != i || starts.Count == 0 || band.First[i] != starts[^1])
            {
                return null;
            }
        }

        return [.. starts.Select((start, n) => ((long)start, (long)((n + 1 < starts.Count ? starts[n + 1] : band.First.Length) - start)))];
    }
}
