using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;

namespace CutoffLen.Memory;

/// <summary>
/// Bytes that attention takes beside its inputs, its output and the log-sum-exp. They follow from the size of a tile and what
/// <see cref="BlockedAttention"/> and <see cref="EncodedHeads"/> allocate.
/// </summary>
/// <param name="config">The architecture.</param>
/// <param name="bands">The position method's bands.</param>
/// <param name="width">Bytes of a number of the model.</param>
/// <param name="size">The size of a tile.</param>
internal sealed class AttentionMemory(LlamaConfig config, BandShape bands, int width, BlockSize size)
{
    private const long Float32 = sizeof(float);

    private readonly long queries = (long)config.NumAttentionHeads * config.HeadDim; // numbers a token
    private readonly long keys = (long)config.NumKeyValueHeads * config.HeadDim;

    /// <summary>What stays as long as the plan: position tables, and scratch buffers for a tile's scores and their gradients.</summary>
    public long Kept(int batch, int length) =>
        (bands.TableBytesPerToken * length) + (WorksInPlace ? 0 : 2 * Float32 * Scores(batch, length));

    /// <summary>Of the backward pass, which takes more than the forward pass: encoded heads, their gradients, a tile's weights and score gradients.</summary>
    public long Backward(int batch, int length)
    {
        var encoded = width * ((bands.Bands * queries) + ((bands.KeyEncodings + 1) * keys));
        var gradients = Float32 * ((bands.Bands * queries) + ((bands.Bands + 1) * keys));
        var tile = 2 * width * (Scores(batch, length) + (batch * length * keys));
        // A rotation computes in float32: the vectors, two halves of the result, and the result.
        var rotating = batch * (long)length * queries * ((3 * Float32) + width);
        return (batch * (long)length * (encoded + gradients)) + Math.Max(tile, rotating);
    }

    /// <summary>Of libtorch's own operator in the backward pass. It has a key and a value head for each query head.</summary>
    public long FusedBackward(int batch, int length) => batch * (long)length * queries * ((8 * width) + (3 * Float32));

    // A single float32 product needs no scratch buffer.
    private bool WorksInPlace => bands.Bands == 1 && width == Float32;

    /// <summary>The scores of the largest tile. Each band's slice may overlap the next by the tile's rows.</summary>
    private long Scores(int batch, int length)
    {
        var group = config.NumAttentionHeads / config.NumKeyValueHeads;
        var rows = Math.Min(length, size.Rows(group, length));
        var ofOne = group * rows * (length + ((bands.Bands - 1L) * rows));
        var ofAll = (long)batch * config.NumAttentionHeads * Math.Min(length, size.MostRows) * (length + ((bands.Bands - 1L) * size.MostRows));
        return Math.Min(Math.Max(size.Scores, ofOne), ofAll);
    }
}

/// <summary>The size of a position method's bands, per token of any length.</summary>
/// <param name="Bands">Bands, each with its own encoding of the queries.</param>
/// <param name="KeyEncodings">Different encodings of the keys; bands may share one.</param>
/// <param name="TableBytesPerToken">Tables of all bands on the device.</param>
/// <param name="HostBytesPerToken">Tables and intervals of all bands in host memory, where they are computed.</param>
public sealed record BandShape(int Bands, int KeyEncodings, long TableBytesPerToken, long HostBytesPerToken)
{
    private const int Sample = 64; // tokens; the number of bands does not depend on the length

    /// <summary>The shape of a method's bands.</summary>
    public static BandShape Of(PositionMethod method)
    {
        var bands = method.Bands(TokenPositions.Sequential(Sample));
        var keys = bands.Select(band => band.Keys).Distinct(ReferenceEqualityComparer.Instance).Cast<PositionEncoding>().ToList();
        var encodings = bands.Select(band => band.Queries).Concat(keys).ToList();
        return new BandShape(
            bands.Count,
            keys.Count,
            encodings.Sum(TableBytes) / Sample,
            (encodings.Distinct(ReferenceEqualityComparer.Instance).Cast<PositionEncoding>().Sum(HostBytes) / Sample) + (bands.Count * 2 * sizeof(int)));
    }

    // Cosine, sine and its negative in float32; or an order, its inverse (both 64 bits) and a scale.
    private static long TableBytes(PositionEncoding encoding) => encoding switch
    {
        Rotation rotation => 3L * sizeof(float) * rotation.Cos.Length,
        Reordering reordering => (2L * sizeof(long) * reordering.Index.Length) + (sizeof(float) * (reordering.Scale?.LongLength ?? 0)),
        _ => 0,
    };

    private static long HostBytes(PositionEncoding encoding) => encoding switch
    {
        Rotation rotation => 2L * sizeof(float) * rotation.Cos.Length,
        Reordering reordering => ((long)sizeof(int) * reordering.Index.Length) + (sizeof(float) * (reordering.Scale?.LongLength ?? 0)),
        _ => 0,
    };
}
