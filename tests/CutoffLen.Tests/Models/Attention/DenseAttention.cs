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
        var scores = full([q.shape[0], q.shape[1], length, length], float.NegativeInfinity, ScalarType.Float32);
        foreach (var band in method.Bands(positions))
        {
            using var queries = DeviceEncoding.Create(band.Queries, 1, CPU);
            using var keys = DeviceEncoding.Create(band.Keys, 1, CPU);
            var bandKeys = keys.Apply(k, 0).repeat_interleave(group, 1);
            var bandScores = queries.Apply(q, 0).matmul(bandKeys.transpose(-1, -2)) / Math.Sqrt(config.HeadDim);
            scores = where(Seen(band, length), bandScores + Bias(band, positions), scores);
        }

        return scores.softmax(-1).to(v.dtype).matmul(v.repeat_interleave(group, 1));
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
