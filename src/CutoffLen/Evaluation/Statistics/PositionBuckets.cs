namespace CutoffLen.Evaluation.Statistics;

/// <summary>
/// Log-spaced buckets of the positions in a window, four to an octave. The boundaries are 1, 2, 3, 4, 5, 6, 7, 8, 10, 11,
/// 13, 16, ... (2^(k/4), rounded) up to the length. The position of a target is the number of tokens before it in its
/// window, so positions run from 1 to length - 1. A last bucket of less than half its width joins the one before.
/// </summary>
public sealed class PositionBuckets
{
    private readonly int[] bucketOf;

    /// <summary>The buckets of windows of <paramref name="length"/> tokens.</summary>
    public PositionBuckets(int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        Edges = EdgesUpTo(length);
        bucketOf = new int[length];
        for (var bucket = 0; bucket < Count; bucket++)
        {
            Array.Fill(bucketOf, bucket, Edges[bucket], Edges[bucket + 1] - Edges[bucket]);
        }
    }

    /// <summary>Bucket k holds the positions Edges[k] .. Edges[k + 1] - 1; the last edge is the length.</summary>
    public int[] Edges { get; }

    /// <summary>The number of buckets.</summary>
    public int Count => Edges.Length - 1;

    /// <summary>The bucket of a position from 1 to length - 1.</summary>
    public int Of(int position) => bucketOf[position];

    private static int[] EdgesUpTo(int length)
    {
        var edges = new List<int> { 1 };
        var next = 1;
        for (var k = 1; next < length; k++)
        {
            next = (int)Math.Round(Math.Pow(2, k / 4.0));
            if (next > edges[^1] && next < length)
            {
                edges.Add(next);
            }
        }

        // next is the end of the unfinished bucket.
        if (edges.Count > 1 && 2 * (length - edges[^1]) < next - edges[^1])
        {
            edges.RemoveAt(edges.Count - 1);
        }

        return [.. edges, length];
    }
}
