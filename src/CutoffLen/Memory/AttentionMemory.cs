using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;

namespace CutoffLen.Memory;

/// <summary>
/// Bytes that attention takes beside its inputs, its output and the log-sum-exp: what <see cref="BlockedAttention"/>,
/// <see cref="EncodedHeads"/> and <see cref="WideRoom"/> allocate, counted from the size of a piece.
/// </summary>
/// <param name="config">The architecture.</param>
/// <param name="bands">The position method's bands.</param>
/// <param name="width">Bytes of a number of the model.</param>
/// <param name="size">The size of a piece.</param>
public sealed class AttentionMemory(LlamaConfig config, BandShape bands, int width, BlockSize size)
{
    private const long Wide = sizeof(float);

    private readonly long queries = (long)config.NumAttentionHeads * config.HeadDim; // numbers a token
    private readonly long keys = (long)config.NumKeyValueHeads * config.HeadDim;

    /// <summary>What stays as long as the plan: the tables of positions, and room for a piece's scores and their gradients.</summary>
    public long Kept(int batch, int length) =>
        (bands.TableBytesPerToken * length) + (WorksInPlace ? 0 : 2 * Wide * Scores(batch, length));

    /// <summary>Of the backward pass: the encoded heads, their gradients, and a piece's weights and slopes; more than of the forward pass.</summary>
    public long Backward(int batch, int length)
    {
        var encoded = width * ((bands.Bands * queries) + ((bands.KeyEncodings + 1) * keys));
        var gradients = Wide * ((bands.Bands * queries) + ((bands.Bands + 1) * keys));
        var piece = 2 * width * (Scores(batch, length) + (batch * length * keys));
        // A rotation computes in float32: the vectors, two halves of the result, and the result.
        var rotating = batch * (long)length * queries * ((3 * Wide) + width);
        return (batch * (long)length * (encoded + gradients)) + Math.Max(piece, rotating);
    }

    /// <summary>The same of libtorch's own operator, which has a key and a value head for each query head.</summary>
    public long FusedBackward(int batch, int length) => batch * (long)length * queries * ((8 * width) + (3 * Wide));

    // A single product of float32 is worked on where it lies.
    private bool WorksInPlace => bands.Bands == 1 && width == Wide;

    /// <summary>The scores of the largest piece; each band's slice may overlap the next by the piece's rows.</summary>
    private long Scores(int batch, int length)
    {
        var group = config.NumAttentionHeads / config.NumKeyValueHeads;
        var rows = Math.Min(length, size.Rows(group, length));
        var ofOne = group * rows * (length + ((bands.Bands - 1L) * rows));
        var ofAll = (long)batch * config.NumAttentionHeads * Math.Min(length, size.MostRows) * (length + ((bands.Bands - 1L) * size.MostRows));
        return Math.Min(Math.Max(size.Scores, ofOne), ofAll);
    }
}
