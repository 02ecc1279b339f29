using CutoffLen.Distributed;
using CutoffLen.Hardware;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>What attention needs to know of an architecture, under the names of Hugging Face's config.json.</summary>
public interface IAttentionShape
{
    /// <summary>H, query heads.</summary>
    int NumAttentionHeads { get; }

    /// <summary>K, key/value heads; divides H.</summary>
    int NumKeyValueHeads { get; }

    /// <summary>D, numbers of a head.</summary>
    int HeadDim { get; }
}

/// <summary>
/// How the attention of one forward pass sees positions: a method's bands with their tables on the device. It is built
/// once for a row and shared by all layers and by every row of the batch.
/// </summary>
public sealed class AttentionPlan : IDisposable
{
    private readonly List<DeviceBand> bands;
    private readonly bool ownsBands;
    private readonly Workspace workspace;
    private readonly bool ownsWorkspace;
    private readonly IAttention attention;
    private readonly DeviceRotation? ownRotation; // the shared rotation of this rank's tokens, where ranks share rows

    private AttentionPlan(List<DeviceBand> bands, AttentionTiling tiling, AttentionPath path, Workspace? workspace, bool ownsBands, ICollectives? context = null)
    {
        (this.bands, Tiling, this.ownsBands, ownsWorkspace) = (bands, tiling, ownsBands, workspace is null);
        this.workspace = workspace ?? new Workspace();
        if (context is null)
        {
            IAttention? fused = path == AttentionPath.Sdpa ? FusedAttention.For(bands, tiling.FirstQuery, tiling.Length, this.workspace) : null;
            attention = fused ?? new BlockedAttention(bands, tiling, this.workspace);
            Path = fused is null ? AttentionPath.Blocked : AttentionPath.Sdpa;
            return;
        }

        var parallel = new ContextParallelAttention((first, length) => Window(first, length, path), tiling.Length, context, this.workspace);
        (attention, Path) = (parallel, parallel.Path);
        if (bands is [{ Band: { SharesRotation: true, Keys: Rotation all } }])
        {
            var chunks = ContextChunks.Of(context);
            ownRotation = new DeviceRotation(all with { Cos = chunks.OwnOf<float>(all.Cos), Sin = chunks.OwnOf<float>(all.Sin) }, 1, tiling.Device);
        }
    }

    /// <summary>The token index of the first query: 0, or the number of tokens already in the cache.</summary>
    public int FirstQuery => Tiling.FirstQuery;

    /// <summary>T, the number of keys.</summary>
    public int Length => Tiling.Length;

    /// <summary>What computes attention: the path asked for where it supports the bands, else the blocked one.</summary>
    public AttentionPath Path { get; }

    internal IReadOnlyList<DeviceBand> Bands => bands;

    internal AttentionTiling Tiling { get; }

    internal Workspace Workspace => workspace;

    /// <summary>
    /// The encoding of queries and keys where one serves both; else null. Who projects them may apply it at once, while they are in a
    /// CPU's cache, and say so.
    /// </summary>
    internal DeviceEncoding? SharedEncoding => ownRotation ?? (bands is [{ Band.SharesRotation: true } only] ? only.Keys : null);

    /// <summary>The plan of <paramref name="method"/> for a row whose tokens have <paramref name="positions"/>.</summary>
    /// <param name="method">The position method.</param>
    /// <param name="positions">Position ids and documents of the row.</param>
    /// <param name="shape">The architecture.</param>
    /// <param name="device">Where the tables go.</param>
    /// <param name="path">What computes attention where it can.</param>
    /// <param name="size">The size of a tile; null for the device's.</param>
    /// <param name="workspace">Memory for the moment, shared with others; null for the plan's own.</param>
    /// <param name="context">
    /// The ranks that share each row, of a multiple of 2P tokens; null for none. The plan's queries, keys and values are then those of
    /// this rank's <see cref="ContextChunks"/>, and all ranks call the same methods in the same order.
    /// </param>
    public static AttentionPlan Create(
        PositionMethod method, TokenPositions positions, IAttentionShape shape, Device device, AttentionPath path = AttentionPath.Blocked, BlockSize? size = null,
        Workspace? workspace = null, ICollectives? context = null)
    {
        var encodedKeys = new Dictionary<PositionEncoding, DeviceEncoding>(ReferenceEqualityComparer.Instance);
        var bands = method.Bands(positions).Select(band => new DeviceBand(band, KeysOf(band), positions, shape, device)).ToList();
        var group = shape.NumAttentionHeads / shape.NumKeyValueHeads;
        var tiling = new AttentionTiling(
            [.. bands.Select(band => band.Band)], 0, positions.Length, positions.DocumentStarts, group, size ?? BlockSize.For(device), device);
        return new AttentionPlan(bands, tiling, path, workspace, ownsBands: true, context);

        DeviceEncoding KeysOf(Band band) => encodedKeys.TryGetValue(band.Keys, out var known)
            ? known
            : encodedKeys[band.Keys] = DeviceEncoding.Create(band.Keys, 1, device);
    }

    /// <summary>
    /// A part of this plan: the tokens from <paramref name="firstQuery"/> up to <paramref name="length"/> attend to all
    /// before them. It shares the tables, so it lives as long as this plan. It serves decoding under a method that does
    /// not depend on the length, and ranks that share a row.
    /// </summary>
    public AttentionPlan Window(int firstQuery, int length, AttentionPath path = AttentionPath.Blocked) =>
        new(bands, Tiling.Window(firstQuery, length), path, workspace, ownsBands: false);

    /// <summary>
    /// Attention of queries [B, H, n, D] over keys and values [B, K, T, D], before any position encoding. The result
    /// [B, H, n, D] has the values' dtype and no graph.
    /// </summary>
    public Tensor Attend(Tensor queries, Tensor keys, Tensor values) =>
        Attend(queries, keys, values, keepLogSumExp: false).Output;

    /// <summary>The same, and what <see cref="Backward"/> needs beside it: log-sum-exps of the queries' scores first.</summary>
    /// <param name="queries">[B, H, n, D].</param>
    /// <param name="keys">[B, K, T, D].</param>
    /// <param name="values">[B, K, T, D].</param>
    /// <param name="keepLogSumExp">Whether a backward pass follows.</param>
    /// <param name="areEncoded">Whether queries and keys have the <see cref="SharedEncoding"/> already.</param>
    public (Tensor Output, Tensor[] Kept) Attend(Tensor queries, Tensor keys, Tensor values, bool keepLogSumExp, bool areEncoded = false)
    {
        using var noGrad = no_grad();
        return attention.Forward(queries, keys, values, keepLogSumExp, areEncoded);
    }

    /// <summary>The gradients of queries, keys and values as they were given, in their shapes, from that of the output.</summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor[] kept, Tensor gradient, bool areEncoded = false)
    {
        using var noGrad = no_grad();
        return attention.Backward(queries, keys, values, output, kept, gradient, areEncoded);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        (attention as IDisposable)?.Dispose();
        ownRotation?.Dispose();
        Tiling.Dispose();
        if (ownsWorkspace)
        {
            workspace.Dispose();
        }

        if (ownsBands)
        {
            bands.ForEach(band => band.Dispose());
        }
    }
}
