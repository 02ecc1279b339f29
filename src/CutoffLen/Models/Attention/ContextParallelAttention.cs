using CutoffLen.Distributed;
using CutoffLen.Hardware;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Attention of one rank's queries over the keys and values of all ranks (context parallelism of Llama 3, arXiv 2407.21783,
/// section 3.3.2). Each pass all-gathers keys and values of its layer into buffers that the next layer uses again; the backward
/// pass reduce-scatters their gradients. Attention itself runs as for any queries in the middle of a row.
/// <para>
/// Shapes: P ranks, n tokens of a chunk, 2n tokens of a row on this rank, T = 2Pn keys; else as in <see cref="AttentionPlan"/>.
/// </para>
/// </summary>
internal sealed class ContextParallelAttention : IAttention, IDisposable
{
    private readonly ICollectives group;
    private readonly ContextChunks chunks;
    private readonly Workspace workspace;
    private readonly int size; // n
    private readonly AttentionPlan late; // the own chunk at the end has the most keys
    private readonly AttentionPlan early;

    /// <param name="window">The plan of the queries from a token of a row on, and of the keys up to another.</param>
    /// <param name="length">T, a multiple of 2P.</param>
    /// <param name="group">The ranks that share each row.</param>
    /// <param name="workspace">Memory for the moment.</param>
    public ContextParallelAttention(Func<int, int, AttentionPlan> window, int length, ICollectives group, Workspace workspace)
    {
        (this.group, chunks, this.workspace) = (group, ContextChunks.Of(group), workspace);
        if (length == 0 || length % chunks.Count != 0)
        {
            throw new ArgumentException($"a row of {length} tokens cannot be cut into {chunks.Count} equal chunks", nameof(length));
        }

        size = length / chunks.Count;
        (early, late) = (OfChunk(chunks.Own.Early), OfChunk(chunks.Own.Late));

        AttentionPlan OfChunk(int chunk) => window(chunk * size, (chunk + 1) * size);
    }

    public AttentionPath Path => late.Path;

    public (Tensor Output, Tensor[] Kept) Forward(Tensor queries, Tensor keys, Tensor values, bool keepLogSumExp, bool areEncoded)
    {
        using var scope = NewDisposeScope();
        var (allKeys, allValues) = (Gathered(keys, "gathered keys"), Gathered(values, "gathered values"));
        // The late chunk comes first: buffers of the workspace have their final size from then on.
        var ofLate = late.Attend(Late(queries), KeysOf(late, allKeys), KeysOf(late, allValues), keepLogSumExp, areEncoded);
        var ofEarly = early.Attend(Early(queries), KeysOf(early, allKeys), KeysOf(early, allValues), keepLogSumExp, areEncoded);
        return (Joined(ofEarly.Output, ofLate.Output).MoveToOuterDisposeScope(), [.. ofEarly.Kept.Concat(ofLate.Kept).Select(tensor => tensor.MoveToOuterDisposeScope())]);
    }

    public (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor[] kept, Tensor gradient, bool areEncoded)
    {
        using var scope = NewDisposeScope();
        var (allKeys, allValues) = (Gathered(keys, "gathered keys"), Gathered(values, "gathered values"));
        var each = kept.Length / 2;
        var (lateQueries, dk, dv) = late.Backward(
            Late(queries), KeysOf(late, allKeys), KeysOf(late, allValues), Late(output), kept[each..], Late(gradient), areEncoded);
        var (earlyQueries, earlyKeys, earlyValues) = early.Backward(
            Early(queries), KeysOf(early, allKeys), KeysOf(early, allValues), Early(output), kept[..each], Early(gradient), areEncoded);
        KeysOf(early, dk).add_(earlyKeys);
        KeysOf(early, dv).add_(earlyValues);
        return (Joined(earlyQueries, lateQueries).MoveToOuterDisposeScope(), Scattered(dk).MoveToOuterDisposeScope(), Scattered(dv).MoveToOuterDisposeScope());
    }

    public void Dispose()
    {
        early.Dispose();
        late.Dispose();
    }

    private Tensor Early(Tensor own) => own.narrow(2, 0, size);

    private Tensor Late(Tensor own) => own.narrow(2, size, size);

    private static Tensor KeysOf(AttentionPlan window, Tensor keys) => keys.narrow(2, 0, window.Length);

    /// <summary>Two of [B, H, n, D] to [B, H, 2n, D], in memory where a token's heads lie together.</summary>
    private static Tensor Joined(Tensor early, Tensor late) => cat([early.transpose(1, 2), late.transpose(1, 2)], 1).transpose(1, 2);

    /// <summary>Own vectors [B, K, 2n, D] to those of all ranks in the row's order, [B, K, T, D], up to the last that an own query sees.</summary>
    private Tensor Gathered(Tensor own, string name)
    {
        var byRank = ByRank(own);
        group.AllGather(own.transpose(1, 2).reshape(-1), byRank.view(-1));
        var row = workspace.Take(name, own.dtype, own.device, own.shape[0], chunks.Count, size, own.shape[1], own.shape[3]);
        for (var chunk = 0; chunk <= chunks.Own.Late; chunk++)
        {
            row.select(1, chunk).copy_(OfChunk(byRank, chunk));
        }

        return row.flatten(1, 2).transpose(1, 2);
    }

    /// <summary>This rank's part [B, K, 2n, D] of the sum over ranks of gradients [B, K, keys, D] of a row's first keys.</summary>
    private Tensor Scattered(Tensor gradient)
    {
        var byRank = ByRank(gradient);
        var byToken = gradient.transpose(1, 2); // [B, keys, K, D]
        for (var chunk = 0; chunk < chunks.Count; chunk++)
        {
            var part = OfChunk(byRank, chunk);
            _ = chunk <= chunks.Own.Late ? part.copy_(byToken.narrow(1, chunk * size, size)) : part.zero_();
        }

        var own = empty([gradient.shape[0], 2 * size, gradient.shape[1], gradient.shape[3]], gradient.dtype, gradient.device);
        group.ReduceScatter(byRank.view(-1), own.view(-1));
        return own.transpose(1, 2);
    }

    /// <summary>Memory for vectors [B, K, tokens, D] of all ranks, in the layout of each rank, [P, B, 2, n, K, D].</summary>
    private Tensor ByRank(Tensor like) =>
        workspace.Take("heads by rank", like.dtype, like.device, chunks.Ranks, like.shape[0], 2, size, like.shape[1], like.shape[3]);

    /// <summary>A chunk's part of vectors by rank, a view [B, n, K, D].</summary>
    private Tensor OfChunk(Tensor byRank, int chunk)
    {
        var (rank, place) = chunks.OwnerOf(chunk);
        return byRank.select(0, rank).select(1, place);
    }
}
