using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// How the attention of one forward sees positions: a method's bands with their tables on the device. Built once
/// for a row and shared by all layers and by every row of the batch.
/// </summary>
public sealed class AttentionPlan : IDisposable
{
    private readonly List<DeviceBand> bands;
    private readonly bool ownsBands;
    private readonly EdgeMasks masks = new();
    private AttentionBlock[]? blocks;
    private AttentionBlock[]? keyBlocks;

    private AttentionPlan(List<DeviceBand> bands, int firstQuery, int length, int[] documentStarts, int group, BlockSize size, AttentionPath path, bool ownsBands)
    {
        (this.bands, this.ownsBands) = (bands, ownsBands);
        (FirstQuery, Length, DocumentStarts) = (firstQuery, length, documentStarts);
        (Group, Size) = (group, size);
        Path = path == AttentionPath.Sdpa && firstQuery == 0 && FusedAttention.Takes(bands) ? path : AttentionPath.Blocked;
    }

    /// <summary>The token index of the first query: 0, or the number of tokens already in the cache.</summary>
    public int FirstQuery { get; }

    /// <summary>T, the number of keys.</summary>
    public int Length { get; }

    /// <summary>What computes it: the path asked for where that knows the bands.</summary>
    public AttentionPath Path { get; }

    internal IReadOnlyList<DeviceBand> Bands => bands;

    internal int[] DocumentStarts { get; }

    /// <summary>G, query heads of a key/value head.</summary>
    internal int Group { get; }

    internal BlockSize Size { get; }

    /// <summary>The blocks of queries that are attended together.</summary>
    internal IReadOnlyList<AttentionBlock> Blocks => blocks ??= AttentionBlock.Cut(this, masks);

    /// <summary>The blocks of queries and keys whose gradients are made together.</summary>
    internal IReadOnlyList<AttentionBlock> KeyBlocks => keyBlocks ??= AttentionBlock.CutKeys(this, masks);

    /// <summary>Room for a piece's scores, and for their gradients.</summary>
    internal (WideRoom Scores, WideRoom Slopes) Room { get; } = (new(), new());

    /// <summary>The plan of <paramref name="method"/> for a row whose tokens stand at <paramref name="positions"/>.</summary>
    /// <param name="method">How positions are seen.</param>
    /// <param name="positions">The row's tokens.</param>
    /// <param name="config">The architecture.</param>
    /// <param name="device">Where the tables go.</param>
    /// <param name="path">What shall compute it where it can.</param>
    /// <param name="size">The size of a piece, when not the device's.</param>
    public static AttentionPlan Create(
        PositionMethod method, TokenPositions positions, LlamaConfig config, Device device, AttentionPath path = AttentionPath.Blocked, BlockSize? size = null)
    {
        var encodedKeys = new Dictionary<PositionEncoding, DeviceEncoding>(ReferenceEqualityComparer.Instance);
        var bands = method.Bands(positions).Select(band => new DeviceBand(
            band, KeysOf(band), positions, config, device)).ToList();
        var group = config.NumAttentionHeads / config.NumKeyValueHeads;
        return new AttentionPlan(bands, 0, positions.Length, positions.DocumentStarts, group, size ?? BlockSize.For(device), path, ownsBands: true);

        DeviceEncoding KeysOf(Band band) => encodedKeys.TryGetValue(band.Keys, out var known)
            ? known
            : encodedKeys[band.Keys] = DeviceEncoding.Create(band.Keys, 1, device);
    }

    /// <summary>
    /// The part of this plan in which the tokens from <paramref name="firstQuery"/> up to
    /// <paramref name="length"/> ask about all before them. It shares the tables, so it lives as long as this plan;
    /// right for decoding with a method that does not depend on the length.
    /// </summary>
    public AttentionPlan Window(int firstQuery, int length) =>
        new(bands, firstQuery, length, DocumentStarts, Group, Size, AttentionPath.Blocked, ownsBands: false);

    /// <summary>
    /// Attention of queries [B, H, n, D] over keys and values [B, K, T, D], none of them encoded yet; the result
    /// is [B, H, n, D] in the values' dtype and carries no graph.
    /// </summary>
    public Tensor Attend(Tensor queries, Tensor keys, Tensor values) =>
        Attend(queries, keys, values, keepLogSumExp: false).Output;

    /// <summary>
    /// The same, and what <see cref="Backward"/> needs: the float32 log-sum-exp of each query's scores on the blocked path.
    /// </summary>
    public (Tensor Output, Tensor? LogSumExp) Attend(Tensor queries, Tensor keys, Tensor values, bool keepLogSumExp)
    {
        using var noGrad = no_grad();
        return Path == AttentionPath.Sdpa
            ? (FusedAttention.Forward(this, queries, keys, values), null)
            : BlockedAttention.Forward(this, queries, keys, values, keepLogSumExp);
    }

    /// <summary>The gradients of queries, keys and values, given that of the output; all in the shapes of their tensors.</summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor? logSumExp, Tensor gradient)
    {
        using var noGrad = no_grad();
        return Path == AttentionPath.Sdpa
            ? FusedAttention.Backward(this, queries, keys, values, gradient)
            : BlockedAttention.Backward(this, queries, keys, values, output, logSumExp!, gradient);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        masks.Dispose();
        Room.Scores.Dispose();
        Room.Slopes.Dispose();
        if (ownsBands)
        {
            bands.ForEach(band => band.Dispose());
        }
    }
}

/// <summary>A band with its encodings on the device. The scores' factor 1/sqrt(D) is in the queries' encoding.</summary>
internal sealed class DeviceBand : IDisposable
{
    private readonly Tensor? slopes; // [K, G, 1, 1] float32
    private readonly Tensor? positions; // [T] float32

    public DeviceBand(Band band, DeviceEncoding keys, TokenPositions tokens, LlamaConfig config, Device device)
    {
        (Band, Keys) = (band, keys);
        Queries = DeviceEncoding.Create(band.Queries, 1 / Math.Sqrt(config.HeadDim), device);
        if (band.BiasSlopes is { } given)
        {
            using var scope = NewDisposeScope();
            slopes = tensor(given, ScalarType.Float32).view(config.NumKeyValueHeads, -1, 1, 1).to(device).DetachFromDisposeScope();
            positions = tensor(Array.ConvertAll(tokens.Ids, id => (float)id)).to(device).DetachFromDisposeScope();
        }
    }

    public Band Band { get; }

    public DeviceEncoding Queries { get; }

    public DeviceEncoding Keys { get; }

    /// <summary>Adds the band's bias to float32 scores [c, G, n, keys] of the pairs from a first one on, in place.</summary>
    public void AddBias(Tensor scores, long firstPair, int firstQuery, int firstKey)
    {
        if (slopes is null || positions is null)
        {
            return;
        }

        var (pairs, queries, keys) = (scores.shape[0], scores.shape[2], scores.shape[3]);
        var distance = positions.narrow(0, firstKey, keys) - positions.narrow(0, firstQuery, queries).unsqueeze(-1);
        var heads = (arange(pairs, ScalarType.Int64, scores.device) + firstPair) % slopes.shape[0];
        scores.addcmul_(slopes.index_select(0, heads), distance, 1);
    }

    public void Dispose()
    {
        Queries.Dispose();
        Keys.Dispose();
        slopes?.Dispose();
        positions?.Dispose();
    }
}
