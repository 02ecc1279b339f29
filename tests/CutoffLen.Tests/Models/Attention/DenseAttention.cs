using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Attention;

/// <summary>
/// Attention written out with a full [T, T] matrix of scores and an ordinary graph: what the blocked path must equal.
/// </summary>
internal static class DenseAttention
{
    public static Tensor Attend(PositionMethod method, TokenPositions positions, LlamaConfig config, Tensor q, Tensor k, Tensor v)
    {
        var length = positions.Length;
        var group = config.NumAttentionHeads / config.NumKeyValueHeads;
        var scores = full([q.shape[0], q.shape[1], length, length], float.NegativeInfinity, q.dtype == ScalarType.Float64 ? q.dtype : ScalarType.Float32);
        foreach (var band in method.Bands(positions))
        {
            var bandKeys = Encode(band.Keys, k).repeat_interleave(group, 1);
            var bandScores = Encode(band.Queries, q).matmul(bandKeys.transpose(-1, -2)) / Math.Sqrt(config.HeadDim);
            scores = where(Seen(band, length), bandScores + Bias(band, positions), scores);
        }

        return scores.softmax(-1).to(v.dtype).matmul(v.repeat_interleave(group, 1));
    }

    /// <summary>[B, N, T, D] vectors under an encoding, as its record defines it; N is a multiple of the encoding's heads.</summary>
    private static Tensor Encode(PositionEncoding encoding, Tensor x)
    {
        switch (encoding)
        {
            case Rotation rotation:
                var halves = x.chunk(2, -1);
                return (x * Twice(rotation.Cos)) + (cat([-halves[1], halves[0]], -1) * Twice(rotation.Sin));

                Tensor Twice(float[] table) => tensor(table).view(-1, rotation.HalfDim).repeat(1, 2).to(x.dtype);
            case Reordering reordering:
                var repeats = x.shape[1] / reordering.Heads;
                var index = tensor(Array.ConvertAll(reordering.Index, i => (long)i)).view(reordering.Heads, -1, reordering.HeadDim)
                    .repeat_interleave(repeats, 0).unsqueeze(0).expand(x.shape[0], -1, -1, -1);
                var scale = reordering.Scale is { } given ? tensor(given).view(reordering.Heads, -1, 1).repeat_interleave(repeats, 0) : ones(1);
                return x.gather(-1, index) * scale;
            default:
                return x;
        }
    }

    private static Tensor Seen(Band band, int length)
    {
        var seen = new bool[length * length];
        for (var i = 0; i < length; i++)
        {
            for (var j = band.First[i]; j <= band.Last[i]; j++)
            {
                seen[(i * length) + j] = true;
            }
        }

        return tensor(seen, [length, length]);
    }

    private static Tensor Bias(Band band, TokenPositions positions)
    {
        var at = tensor(Array.ConvertAll(positions.Ids, p => (float)p));
        var distance = at.unsqueeze(0) - at.unsqueeze(1); // [i, j]: position[j] - position[i]
        return band.BiasSlopes is { } slopes
            ? tensor(slopes, [slopes.Length, 1, 1], ScalarType.Float32) * distance
            : zeros_like(distance);
    }
}
