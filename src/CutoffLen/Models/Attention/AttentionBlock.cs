using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

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
    public int Keys => Slices.Sum(slice => slice.KeyCount);

    /// <summary>
    /// Cuts a plan's queries into blocks for the forward pass: a query's softmax is over all its keys at once, so where there
    /// are many a block has few queries. Short documents share a block; one that does not fit begins a new block, so
    /// that long documents never see into their neighbours.
    /// </summary>
    public static AttentionBlock[] Cut(AttentionPlan plan, EdgeMasks masks) =>
        [.. Spans(plan, plan.Size.Rows).Select(span => new AttentionBlock(span.Start, span.Rows, SlicesOf(plan, span, masks)))];

    /// <summary>
    /// The same for the backward pass, which needs no more of a row than its log-sum-exp: blocks have all the queries they may
    /// have, and where that makes too many scores the keys of each band are cut too. Every block adds to the gradients of
    /// all its keys, so many queries at a time save much memory traffic.
    /// </summary>
    public static AttentionBlock[] CutKeys(AttentionPlan plan, EdgeMasks masks)
    {
        var blocks = new List<AttentionBlock>();
        foreach (var span in Spans(plan, (_, _) => plan.Size.MostRows))
        {
            var whole = new AttentionBlock(span.Start, span.Rows, SlicesOf(plan, span, masks));
            var most = plan.Size.Keys(plan.Group, span.Rows);
            blocks.AddRange(whole.Keys <= most ? [whole] : whole.Slices
                .SelectMany(slice => Parts(slice, most).Select(part => SliceOf(plan, slice.Band, span, part, masks)))
                .OfType<BandSlice>().Select(slice => whole with { Slices = [slice] }));
        }

        return [.. blocks];

        static IEnumerable<(int First, int Last)> Parts(BandSlice slice, int most)
        {
            var end = slice.FirstKey + slice.KeyCount;
            for (var first = slice.FirstKey; first < end; first += most)
            {
                yield return (first, Math.Min(first + most, end) - 1);
            }
        }
    }

    private static IEnumerable<(int Start, int Rows)> Spans(AttentionPlan plan, Func<int, int, int> rowsAfter)
    {
        var spans = new List<(int Start, int Rows)>();
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
                rows = Math.Min(rowsAfter(plan.Group, start - document), ends[d] - start);
                spans.Add((start, rows));
            }

            document = ends[d];
        }

        // Last first: scores shrink from block to block, so each fits where the one before lay; growing ones would
        // leave ever larger holes in the C heap, and memory would not be linear in the length.
        return Enumerable.Reverse(spans);
    }

    private static List<BandSlice> SlicesOf(AttentionPlan plan, (int Start, int Rows) span, EdgeMasks masks) =>
        [.. Enumerable.Range(0, plan.Bands.Count).Select(b => SliceOf(plan, b, span, (0, int.MaxValue), masks)).OfType<BandSlice>()];

    /// <summary>What the queries of a span see of a band among some keys; null when nothing.</summary>
    private static BandSlice? SliceOf(AttentionPlan plan, int b, (int Start, int Rows) span, (int First, int Last) keys, EdgeMasks masks)
    {
        var band = plan.Bands[b].Band;
        return BandSlice.Of(
            b,
            Array.ConvertAll(band.First[span.Start..(span.Start + span.Rows)], first => Math.Max(first, keys.First)),
            Array.ConvertAll(band.Last[span.Start..(span.Start + span.Rows)], last => Math.Min(last, keys.Last)),
            masks);
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
