using static TorchSharp.torch;

namespace CutoffLen.Models;

/// <summary>
/// Consecutive queries that are attended together, and per band the keys they see: an interval, with masks only at
/// its edges, so that what causality or a document's border forbids costs nothing.
/// </summary>
/// <param name="Start">Token index of the first query.</param>
/// <param name="Rows">n, the number of queries.</param>
/// <param name="Slices">What the block sees of each band; bands of which it sees nothing are left out.</param>
internal sealed record AttentionBlock(int Start, int Rows, IReadOnlyList<BandSlice> Slices)
{
    /// <summary>Keys of all slices together.</summary>
    public int Keys { get; } = Slices.Sum(slice => slice.KeyCount);

    /// <summary>
    /// Cuts a plan's queries into blocks. Short documents share a block; one that does not fit begins a new block, so
    /// that long documents never see into their neighbours.
    /// </summary>
    public static AttentionBlock[] Cut(AttentionPlan plan, EdgeMasks masks)
    {
        var blocks = new List<AttentionBlock>();
        int[] ends = [.. plan.DocumentStarts.Where(s => s > plan.FirstQuery && s < plan.Length), plan.Length];
        var (start, document) = (plan.FirstQuery, plan.DocumentStarts.LastOrDefault(s => s <= plan.FirstQuery));
        for (var d = 0; d < ends.Length; d++)
        {
            if (d + 1 < ends.Length && ends[d + 1] - start <= plan.Size.MostRows)
            {
                continue; // the next document fits into the same block
            }

            for (int rows; start < ends[d]; start += rows)
            {
                rows = Math.Min(plan.Size.Rows(plan.Group, start - document), ends[d] - start);
                blocks.Add(new AttentionBlock(start, rows, SlicesOf(plan, start, rows, masks)));
            }

            document = ends[d];
        }

        // Last first: scores shrink from block to block, so each fits where the one before lay; growing ones would
        // leave ever larger holes in the C heap, and memory would not be linear in the length.
        blocks.Reverse();
        return [.. blocks];
    }

    private static List<BandSlice> SlicesOf(AttentionPlan plan, int start, int rows, EdgeMasks masks)
    {
        var slices = new List<BandSlice>(plan.Bands.Count);
        for (var b = 0; b < plan.Bands.Count; b++)
        {
            var band = plan.Bands[b].Band;
            if (BandSlice.Of(b, band.First.AsSpan(start, rows), band.Last.AsSpan(start, rows), masks) is { } slice)
            {
                slices.Add(slice);
            }
        }

        return slices;
    }
}

/// <summary>The keys of one band that a block of queries sees.</summary>
/// <param name="Band">The band's number in the plan.</param>
/// <param name="FirstKey">Token index of the first key that any query of the block sees.</param>
/// <param name="KeyCount">Keys up to the last one that any query of the block sees.</param>
/// <param name="Masks">What is hidden inside that interval.</param>
internal sealed record BandSlice(int Band, int FirstKey, int KeyCount, IReadOnlyList<EdgeMask> Masks)
{
    /// <summary>The slice for queries with the given key intervals; null when none of them sees a key.</summary>
    public static BandSlice? Of(int band, ReadOnlySpan<int> first, ReadOnlySpan<int> last, EdgeMasks masks)
    {
        var (low, high) = (int.MaxValue, int.MinValue);
        for (var i = 0; i < first.Length; i++)
        {
            if (first[i] <= last[i])
            {
                (low, high) = (Math.Min(low, first[i]), Math.Max(high, last[i]));
            }
        }

        return low > high ? null : new BandSlice(band, low, high - low + 1, masks.For(first, last, low, high));
    }

    /// <summary>Hides in float32 scores [..., n, keys] what a query may not see, in place.</summary>
    public void Hide(Tensor scores)
    {
        foreach (var mask in Masks)
        {
            scores.narrow(-1, mask.Column, mask.Columns).add_(mask.Values.On(scores.device));
        }
    }
}

/// <summary>A block in some of the (row of the batch, key/value head) pairs: what is computed at a time.</summary>
/// <param name="Block">The queries and what they see.</param>
/// <param name="FirstPair">The first pair, counted through rows and then heads.</param>
/// <param name="Pairs">c, how many pairs.</param>
internal readonly record struct AttentionTile(AttentionBlock Block, long FirstPair, long Pairs);
