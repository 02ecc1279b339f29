using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;

namespace CutoffLen.Memory;

/// <summary>
/// Bytes that attention takes beside its inputs, its output and the log-sum-exp. They follow from the size of a tile and what
/// <see cref="BlockedAttention"/>, <see cref="EncodedHeads"/> and <see cref="FusedAttention"/> take.
/// </summary>
/// <param name="config">The architecture.</param>
/// <param name="bands">The position methods' bands.</param>
/// <param name="width">Bytes of a number of the model.</param>
/// <param name="size">The size of a tile.</param>
internal sealed class AttentionMemory(LlamaConfig config, BandShape bands, int width, BlockSize size)
{
    private const long Float32 = sizeof(float);

    private readonly long queries = (long)config.NumAttentionHeads * config.HeadDim; // numbers a token
    private readonly long keys = (long)(bands.KeysByQueryHead ? config.NumAttentionHeads : config.NumKeyValueHeads) * config.HeadDim;

    /// <summary>Of the blocked path: encoded heads, their gradients in float32, results before they are laid out by token, tiles.</summary>
    /// <param name="batch">B.</param>
    /// <param name="queryTokens">n, queries of a row.</param>
    /// <param name="keyTokens">T, keys of a row.</param>
    public long Blocked(int batch, int queryTokens, int keyTokens)
    {
        var (q, k) = (queries * queryTokens, keys * keyTokens);
        var gradients = Float32 * ((bands.Bands * q) + ((bands.Bands + 1) * k));
        // Upstream and downstream gradients by head; decoded gradients, those of a further band, rounded, and laid out by token.
        var decoded = Float32 * (q + k + (bands.Bands > 1 ? Math.Max(q, k) : 0) + (width == Float32 ? k : 0));
        var results = (2 * width * q) + decoded + (width * (q + (2 * k)) * (width == Float32 ? 1 : 2));
        var rotation = width == Float32 ? 0 : Float32 * Math.Max(q, k);
        var tile = Scores(batch, queryTokens, keyTokens) * 2 * (width == Float32 ? width : width + Float32);
        // By head two rotations of a vector, of which each pair is chosen, and the choice.
        var choice = bands.KeysByQueryHead ? Math.Max(q, k) * ((2 * Float32) + (width == Float32 ? 0 : width)) : 0;
        return (batch * (Encoded(q, k) + gradients + results + rotation + choice)) + tile;
    }

    /// <summary>
    /// Of the fused path: the gradients of the heads, and those of its largest part. That is the keys before the queries, where
    /// there are such, else half the tokens on a CPU.
    /// </summary>
    public long Fused(int batch, int queryTokens, int keyTokens, bool onGpu)
    {
        var heads = width * ((queries * queryTokens) + (2 * keys * keyTokens));
        var ofPart = queryTokens < keyTokens ? heads : onGpu || width < Float32 ? 0 : heads / 2;
        return batch * (heads + ofPart);
    }

    /// <summary>
    /// Of ranks that share a row, beside the attention of one chunk of queries: keys and values of all ranks, in the order of the ranks
    /// (one at a time) and of the row; gradients of the early chunk's keys and values; those of queries by chunk and joined. MPI sums
    /// gradients in two buffers of its own (Open MPI's coll_base_reduce_scatter_block.c).
    /// </summary>
    public long Gathered(int batch, int queryTokens, int keyTokens, bool onGpu) =>
        batch * ((width * ((3 * keys * keyTokens) + (2 * keys * queryTokens) + (3 * queries * queryTokens))) + (onGpu ? 0 : 2 * Float32 * keys * keyTokens));

    /// <summary>Of the fused path's forward pass, a token: the log-sum-exps, and the result of its largest part, half the tokens.</summary>
    public long FusedForward() => (width * queries / 2) + (2 * Float32 * config.NumAttentionHeads);

    /// <summary>Of the blocked path's forward pass, a token, without tiles: encoded heads, results before they are laid out by token, rotations to choose from.</summary>
    public long BlockedForward() => Encoded(queries, keys) + (width * queries) + (width == Float32 ? 0 : Float32 * queries)
        + (bands.KeysByQueryHead ? 2 * width * Math.Max(queries, keys) : 0);

    /// <summary>Each band's queries and keys, where keys differ, and the values by head; keys and values repeated for query heads.</summary>
    private long Encoded(long q, long k) => width * ((bands.Bands * q) + ((bands.KeyEncodings + (bands.KeysByQueryHead ? 3 : 1)) * k));

    /// <summary>The scores of the largest tile. Each band's slice may overlap the next by the tile's rows.</summary>
    private long Scores(int batch, int queryTokens, int keyTokens)
    {
        var group = config.NumAttentionHeads / config.NumKeyValueHeads;
        var rows = Math.Min(queryTokens, size.Rows(group, keyTokens));
        var ofOne = group * rows * (keyTokens + ((bands.Bands - 1L) * rows));
        var ofAll = (long)batch * config.NumAttentionHeads * Math.Min(queryTokens, size.MostRows) * (keyTokens + ((bands.Bands - 1L) * size.MostRows));
        return Math.Min(Math.Max(size.Scores, ofOne), ofAll);
    }
}

/// <summary>The size of the bands of a model's position methods, per token of any length.</summary>
/// <param name="Bands">Bands of a layer, the most of any, each with its own encoding of the queries.</param>
/// <param name="KeyEncodings">Different encodings of the keys of a layer; bands may share one.</param>
/// <param name="TableBytesPerToken">Tables of all bands on the device.</param>
/// <param name="HostBytesPerToken">Tables and intervals of all bands in host memory, where they are computed.</param>
/// <param name="IsPlain">Whether attention is plain and causal in every layer, as fused kernels compute it.</param>
public sealed record BandShape(int Bands, int KeyEncodings, long TableBytesPerToken, long HostBytesPerToken, bool IsPlain)
{
    // Tokens to look at. The number of bands does not depend on the length; a window shows when it is longer than it.
    private const int MostTokens = 16_384;
    private const int FewestTokens = 64;

    /// <summary>Whether keys are encoded for each query head in any layer.</summary>
    public bool KeysByQueryHead { get; init; }

    /// <summary>The shape of the bands: tables of all distinct methods, and of the other numbers the largest of a layer.</summary>
    /// <param name="layers">The method of each layer.</param>
    /// <param name="length">Tokens of a row: within a window's length, attention is plain.</param>
    public static BandShape Of(LayerPlan layers, int length = MostTokens) => layers.Distinct.Select(method => Of(method, length)).Aggregate((one, other) => new BandShape(
        Math.Max(one.Bands, other.Bands), Math.Max(one.KeyEncodings, other.KeyEncodings),
        one.TableBytesPerToken + other.TableBytesPerToken, one.HostBytesPerToken + other.HostBytesPerToken, one.IsPlain && other.IsPlain)
    {
        KeysByQueryHead = one.KeysByQueryHead || other.KeysByQueryHead,
    });

    private static BandShape Of(PositionMethod method, int length)
    {
        var sample = Math.Clamp(length, FewestTokens, MostTokens);
        var bands = method.Bands(TokenPositions.Sequential(sample));
        var keys = bands.Select(band => band.Keys).Distinct(ReferenceEqualityComparer.Instance).Cast<PositionEncoding>().ToList();
        var encodings = bands.Select(band => band.Queries).Concat(keys).ToList();
        return new BandShape(
            bands.Count,
            keys.Count,
            encodings.Sum(TableBytes) / sample,
            (encodings.Distinct(ReferenceEqualityComparer.Instance).Cast<PositionEncoding>().Sum(HostBytes) / sample) + (bands.Count * 2 * sizeof(int)),
            FusedAttention.Supports(bands))
        {
            KeysByQueryHead = keys.Any(encoding => encoding is RotationByHead),
        };
    }

    // Cosine and sine in float32; or an order, its inverse (both 64 bits) and a scale.
    private static long TableBytes(PositionEncoding encoding) => encoding switch
    {
        Rotation rotation => 2L * sizeof(float) * rotation.Cos.Length,
        RotationByHead rotation => TableBytes(rotation.Chosen) + TableBytes(rotation.Others) + (2 * rotation.IsChosen.LongLength),
        Reordering reordering => (2L * sizeof(long) * reordering.Index.Length) + (sizeof(float) * (reordering.Scale?.LongLength ?? 0)),
        _ => 0,
    };

    private static long HostBytes(PositionEncoding encoding) => encoding switch
    {
        Rotation rotation => 2L * sizeof(float) * rotation.Cos.Length,
        RotationByHead rotation => HostBytes(rotation.Chosen) + HostBytes(rotation.Others) + rotation.IsChosen.LongLength,
        Reordering reordering => ((long)sizeof(int) * reordering.Index.Length) + (sizeof(float) * (reordering.Scale?.LongLength ?? 0)),
        _ => 0,
    };
}
