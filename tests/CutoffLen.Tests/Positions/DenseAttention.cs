using CutoffLen.Positions;

namespace CutoffLen.Tests.Positions;

/// <summary>
/// Attention as the bands define it, every pair by itself in float64: the plain reference that the goldens are compared
/// through. q is [H, T, D], k and v are [K, T, D], row-major, before any encoding.
/// </summary>
internal sealed class DenseAttention(IReadOnlyList<Band> bands, float[] q, float[] k, float[] v, int heads, int keyValueHeads, int headDim)
{
    private readonly int length = q.Length / heads / headDim;

    /// <summary>Elements (2n, 2n+1) of a pair moved to (n, n + D/2): from the interleaved layout to Hugging Face's.</summary>
    public static float[] HalvesOf(float[] interleaved, int headDim) =>
        [.. interleaved.Select((_, at) =>
        {
            var (row, d) = (at / headDim, at % headDim);
            return interleaved[(row * headDim) + (d < headDim / 2 ? 2 * d : (2 * (d - (headDim / 2))) + 1)];
        })];

    /// <summary>The encoded vector of one token for one query head and the key/value head that it belongs to.</summary>
    public static double[] Encode(PositionEncoding encoding, ReadOnlySpan<float> vector, int token, int length, int keyValueHead, int head)
    {
        var result = new double[vector.Length];
        for (var d = 0; d < vector.Length; d++)
        {
            result[d] = vector[d];
        }

        switch (encoding)
        {
            case Rotation rotation:
                for (var n = 0; n < rotation.HalfDim; n++)
                {
                    double cos = rotation.Cos[(token * rotation.HalfDim) + n], sin = rotation.Sin[(token * rotation.HalfDim) + n];
                    double x = vector[n], y = vector[n + rotation.HalfDim];
                    (result[n], result[n + rotation.HalfDim]) = ((x * cos) - (y * sin), (y * cos) + (x * sin));
                }

                break;

            case RotationByHead byHead:
                var half = byHead.Chosen.HalfDim;
                var (chosen, others) = (Encode(byHead.Chosen, vector, token, length, keyValueHead, head), Encode(byHead.Others, vector, token, length, keyValueHead, head));
                for (var d = 0; d < 2 * half; d++)
                {
                    result[d] = byHead.IsChosen[(head * half) + (d % half)] ? chosen[d] : others[d];
                }

                break;

            case Reordering reordering:
                var row = (keyValueHead * length) + token;
                for (var d = 0; d < vector.Length; d++)
                {
                    result[d] = vector[reordering.Index[(row * reordering.HeadDim) + d]] * (reordering.Scale?[row] ?? 1.0);
                }

                break;
        }

        return result;
    }

    /// <summary>The sum of products.</summary>
    public static double Dot(double[] one, double[] other)
    {
        var sum = 0.0;
        for (var d = 0; d < one.Length; d++)
        {
            sum += one[d] * other[d];
        }

        return sum;
    }

    /// <summary>The score of a pair over sqrt(D); negative infinity where no band holds it.</summary>
    public double Score(int head, int i, int j)
    {
        var found = bands.Where(band => band.First[i] <= j && j <= band.Last[i]).ToArray();
        Assert.True(found.Length <= 1, $"pair ({i}, {j}) is in {found.Length} bands");
        if (found.Length == 0)
        {
            return double.NegativeInfinity;
        }

        var (query, key) = Encoded(found[0], head, i, j);
        return (Dot(query, key) / Math.Sqrt(headDim)) + Bias(found[0], head, i, j);
    }

    /// <summary>[T] softmax weights of one query.</summary>
    /// <param name="head">The query's head.</param>
    /// <param name="i">Its token.</param>
    /// <param name="earlierKeys">What the scores of the tokens before it are multiplied by.</param>
    public double[] Weights(int head, int i, double earlierKeys = 1)
    {
        var scores = Enumerable.Range(0, length).Select(j => Score(head, i, j) * (j < i ? earlierKeys : 1)).ToArray();
        var most = scores.Max();
        var weights = Array.ConvertAll(scores, score => Math.Exp(score - most));
        var sum = weights.Sum();
        return Array.ConvertAll(weights, weight => weight / sum);
    }

    /// <summary>
    /// [T] PermuteFormer's own weights: (relu(q) + 0.001).(relu(k) + 0.001) and the decay, with neither softmax nor sum.
    /// </summary>
    public double[] LinearWeights(int head, int i) =>
        [.. Enumerable.Range(0, length).Select(j =>
        {
            var found = bands.Where(band => band.First[i] <= j && j <= band.Last[i]).ToArray();
            if (found.Length == 0)
            {
                return 0;
            }

            var (query, key) = Encoded(found[0], head, i, j);
            return query.Zip(key, (a, b) => (Math.Max(a, 0) + 1e-3) * (Math.Max(b, 0) + 1e-3)).Sum() * Math.Exp(Bias(found[0], head, i, j));
        })];

    /// <summary>[D] what a query gets out of the values.</summary>
    public double[] Output(int head, double[] weights)
    {
        var result = new double[headDim];
        for (var j = 0; j < length; j++)
        {
            var row = Vector(v, KeyValueHead(head), j);
            for (var d = 0; d < headDim; d++)
            {
                result[d] += weights[j] * row[d];
            }
        }

        return result;
    }

    // Positions stand at token indices in these cases, so the distance is that of the tokens.
    private static double Bias(Band band, int head, int i, int j) => band.BiasSlopes is { } slopes ? slopes[head] * (j - i) : 0;

    private (double[] Query, double[] Key) Encoded(Band band, int head, int i, int j) => (
        Encode(band.Queries, Vector(q, head, i), i, length, KeyValueHead(head), head),
        Encode(band.Keys, Vector(k, KeyValueHead(head), j), j, length, KeyValueHead(head), head));

    private int KeyValueHead(int head) => head / (heads / keyValueHeads);

    private ReadOnlySpan<float> Vector(float[] values, int head, int token) => values.AsSpan(((head * length) + token) * headDim, headDim);
}
