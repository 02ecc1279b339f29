using CutoffLen.Positions;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// The size of the tiles of blocked attention. It changes the order of sums, and so the last bits of results. On a CPU
/// the scores of a tile, with their copies, fit a last-level cache. On a GPU tiles are large, so that launches cost little.
/// </summary>
/// <param name="MostRows">The most queries of one head in a tile.</param>
/// <param name="Scores">Float32 scores of a tile; a few rows over very many keys may exceed it.</param>
public sealed record BlockSize(int MostRows, long Scores)
{
    private const int FewestProductRows = 64; // below, products with the keys get slow
    private const int RowStep = 16;

    /// <summary>The size for a device.</summary>
    public static BlockSize For(Device device) => For(onGpu: device.type != DeviceType.CPU);

    /// <summary>The size for a kind of device.</summary>
    public static BlockSize For(bool onGpu) => onGpu ? new(512, 32 << 20) : new(256, 2 << 20);

    /// <summary>Queries of a tile after so many visible keys, with <paramref name="group"/> query heads to a key/value head.</summary>
    public int Rows(int group, int keysBefore)
    {
        var fit = Scores / group / (keysBefore + RowStep);
        return (int)Math.Clamp(fit / RowStep * RowStep, Math.Min(MostRows, Math.Max(RowStep, FewestProductRows / group)), MostRows);
    }

    /// <summary>Keys that fit a tile of so many queries, with <paramref name="group"/> query heads to a key/value head.</summary>
    public int Keys(int group, int rows) => (int)Math.Max(Scores / group / rows, FewestProductRows);

    /// <summary>Pairs of a row and a key/value head that fit a tile: rows with all their heads, or as many heads as divide a row's.</summary>
    /// <param name="scoresOfOne">Scores of one pair: its query heads, times the rows, times the keys.</param>
    /// <param name="batch">B, rows of the batch.</param>
    /// <param name="heads">K, key/value heads of a row.</param>
    public long Pairs(long scoresOfOne, long batch, long heads)
    {
        var fit = Math.Clamp(Scores / scoresOfOne, 1, batch * heads);
        if (fit >= heads)
        {
            return fit / heads * heads;
        }

        while (heads % fit != 0)
        {
            fit--;
        }

        return fit;
    }

    /// <inheritdoc/>
    public override string ToString() => $"{MostRows} rows, {Scores} scores";
}

/// <summary>A tile: a block in some of the (row of the batch, key/value head) pairs, computed at once.</summary>
/// <param name="Block">The queries and what they see.</param>
/// <param name="FirstPair">The first pair, counted through rows and then heads.</param>
/// <param name="Pairs">c, how many pairs.</param>
internal readonly record struct AttentionTile(AttentionBlock Block, long FirstPair, long Pairs)
{
    /// <summary>The block's slices with their first columns, where the keys of all slices stand side by side.</summary>
    public IEnumerable<(BandSlice Slice, long Column)> Columns()
    {
        var column = 0L;
        foreach (var slice in Block.Slices)
        {
            yield return (slice, column);
            column += slice.KeyCount;
        }
    }
}

/// <summary>Consecutive queries and the keys of each band that they see.</summary>
/// <param name="Start">Token index of the first query.</param>
/// <param name="Rows">n, the number of queries.</param>
/// <param name="Slices">What the block sees of each band; bands of which it sees nothing are left out.</param>
internal sealed record AttentionBlock(int Start, int Rows, IReadOnlyList<BandSlice> Slices)
{
    /// <summary>Keys of all slices together.</summary>
    public int Keys { get; } = Slices.Sum(slice => slice.KeyCount);
}

/// <summary>The keys of one band that a block of queries sees.</summary>
/// <param name="Band">The band's number in the plan.</param>
/// <param name="FirstKey">Token index of the first key that any query of the block sees.</param>
/// <param name="KeyCount">Keys up to the last one that any query of the block sees.</param>
/// <param name="Masks">What is hidden inside that interval.</param>
internal sealed record BandSlice(int Band, int FirstKey, int KeyCount, IReadOnlyList<EdgeMask> Masks)
{
    /// <summary>Hides in float32 scores [..., n, keys] what a query may not see, in place.</summary>
    public void Hide(Tensor scores)
    {
        foreach (var mask in Masks)
        {
            scores.narrow(-1, mask.Column, mask.Columns).add_(mask.Values);
        }
    }
}

/// <summary>
/// Cuts one attention into tiles. A block of queries sees one interval of keys per band, masked only at its edges. So
/// keys hidden by causality or by a document's border cost nothing.
/// </summary>
/// <param name="bands">The method's bands.</param>
/// <param name="firstQuery">Token index of the first query.</param>
/// <param name="length">T, the number of keys.</param>
/// <param name="documentStarts">Token indices at which documents begin.</param>
/// <param name="group">G, query heads of a key/value head.</param>
/// <param name="size">The size of a tile.</param>
/// <param name="device">Where the masks go.</param>
internal sealed class AttentionTiling(
    IReadOnlyList<Band> bands, int firstQuery, int length, int[] documentStarts, int group, BlockSize size, Device device) : IDisposable
{
    private readonly EdgeMasks masks = new(device);
    private AttentionBlock[]? forward;
    private AttentionBlock[]? backward;

    public int FirstQuery => firstQuery;

    public int Length => length;

    public Device Device => device;

    /// <summary>The tiling of the queries from <paramref name="first"/> on over the first <paramref name="keys"/> keys.</summary>
    public AttentionTiling Window(int first, int keys) => new(bands, first, keys, documentStarts, group, size, device);

    /// <summary>
    /// Tiles of the forward pass over B rows and K key/value heads. A query's softmax needs all its keys at once, so blocks that see many
    /// keys have few queries.
    /// </summary>
    public IEnumerable<AttentionTile> Forward(long batch, long heads) =>
        Tiles(forward ??= Cut(keysBefore => size.Rows(group, keysBefore), _ => int.MaxValue), batch, heads);

    /// <summary>
    /// Tiles of the backward pass. It needs only the log-sum-exp of a row, so keys may be split as well as queries. Tiles
    /// have as many queries as possible, because every tile adds to the gradients of its keys.
    /// </summary>
    public IEnumerable<AttentionTile> Backward(long batch, long heads) =>
        Tiles(backward ??= Cut(_ => size.MostRows, rows => size.Keys(group, rows)), batch, heads);

    public void Dispose() => masks.Dispose();

    private IEnumerable<AttentionTile> Tiles(AttentionBlock[] blocks, long batch, long heads)
    {
        var pairs = batch * heads;
        foreach (var block in blocks)
        {
            var most = size.Pairs((long)group * block.Rows * block.Keys, batch, heads);
            for (long first = 0; first < pairs; first += most)
            {
                yield return new AttentionTile(block, first, Math.Min(most, pairs - first));
            }
        }
    }

    /// <summary>Blocks of at most so many queries after so many keys, and of at most so many keys for so many queries.</summary>
    private AttentionBlock[] Cut(Func<int, int> mostRows, Func<int, int> mostKeys)
    {
        var blocks = new List<AttentionBlock>();

        // Last first: scores shrink from block to block, so each fits where the one before lay. Growing ones would leave
        // ever larger holes in the C heap, and memory would not be linear in the length.
        foreach (var (start, rows) in Enumerable.Reverse(Spans(mostRows)))
        {
            var whole = new AttentionBlock(start, rows, Slices(start, rows, Enumerable.Range(0, bands.Count).Select(band => (band, 0, int.MaxValue))));
            var most = mostKeys(rows);
            blocks.AddRange(whole.Keys <= most
                ? [whole]
                : Slices(start, rows, whole.Slices.SelectMany(slice => Parts(slice, most))).Select(part => new AttentionBlock(start, rows, [part])));
        }

        return [.. blocks];
    }

    /// <summary>
    /// Runs of consecutive queries. Short documents share one. A document that does not fit begins a new one, so that
    /// long documents never see into their neighbours.
    /// </summary>
    private List<(int Start, int Rows)> Spans(Func<int, int> mostRows)
    {
        var spans = new List<(int Start, int Rows)>();
        int[] ends = [.. documentStarts.Where(s => s > firstQuery && s < length), length];
        var start = firstQuery;
        for (var d = 0; d < ends.Length; d++)
        {
            if (d + 1 < ends.Length && ends[d + 1] - start <= size.MostRows)
            {
                continue; // the next document fits into the same span
            }

            for (int rows; start < ends[d]; start += rows)
            {
                rows = Math.Min(mostRows(start - bands.Min(band => band.First[start])), ends[d] - start); // keys before a window do not count
                spans.Add((start, rows));
            }
        }

        return spans;
    }

    private static IEnumerable<(int Band, int FirstKey, int LastKey)> Parts(BandSlice slice, int most)
    {
        var end = slice.FirstKey + slice.KeyCount;
        for (var first = slice.FirstKey; first < end; first += most)
        {
            yield return (slice.Band, first, Math.Min(first + most, end) - 1);
        }
    }

    /// <summary>What some queries see of bands' intervals of keys; intervals of which they see nothing are left out.</summary>
    private List<BandSlice> Slices(int start, int rows, IEnumerable<(int Band, int FirstKey, int LastKey)> intervals)
    {
        var slices = new List<BandSlice>();
        foreach (var (band, firstKey, lastKey) in intervals)
        {
            var first = Array.ConvertAll(bands[band].First[start..(start + rows)], key => Math.Max(key, firstKey));
            var last = Array.ConvertAll(bands[band].Last[start..(start + rows)], key => Math.Min(key, lastKey));
            var (low, high) = (int.MaxValue, int.MinValue);
            for (var i = 0; i < rows; i++)
            {
                if (first[i] <= last[i])
                {
                    (low, high) = (Math.Min(low, first[i]), Math.Max(high, last[i]));
                }
            }

            if (low <= high)
            {
                slices.Add(new BandSlice(band, low, high - low + 1, masks.For(first, last, low, high)));
            }
        }

        return slices;
    }
}
