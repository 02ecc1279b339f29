using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Queries, keys and values of one attention with each band's encodings applied, and the batched products between
/// them. The G query heads of a key/value head are rows of one product, so keys are never repeated.
/// </summary>
internal sealed class EncodedHeads
{
    private readonly Tensor[] queries; // per band [B*K, G, n, D]
    private readonly Tensor[] keys; // per band [B*K, T, D]
    private readonly Tensor values; // [B*K, T, D]

    /// <summary>Encodes queries [B, H, n, D], the first of them at token <paramref name="firstQuery"/>, and keys [B, K, T, D].</summary>
    public EncodedHeads(IReadOnlyList<DeviceBand> bands, int firstQuery, Tensor queries, Tensor keys, Tensor values)
    {
        (Bands, FirstQuery) = (bands, firstQuery);
        (Batch, KeyHeads, Tokens, HeadDim) = (keys.shape[0], keys.shape[1], keys.shape[2], keys.shape[3]);
        (Group, Queries) = (queries.shape[1] / KeyHeads, queries.shape[2]);
        this.values = values.contiguous().view(Pairs, Tokens, HeadDim);
        this.queries = [.. bands.Select(band => ByPair(band.Queries.Apply(queries, firstQuery)))];
        var encoded = new Dictionary<DeviceEncoding, Tensor>(); // bands may share an encoding of the keys
        this.keys = [.. bands.Select(band => encoded.TryGetValue(band.Keys, out var known)
            ? known
            : encoded[band.Keys] = band.Keys.Apply(keys, 0).contiguous().view(Pairs, Tokens, HeadDim))];
    }

    public IReadOnlyList<DeviceBand> Bands { get; }

    public int FirstQuery { get; }

    public long Batch { get; }

    public long KeyHeads { get; }

    public long Group { get; }

    public long Queries { get; }

    public long Tokens { get; }

    public long HeadDim { get; }

    /// <summary>B*K, rows of the batch times key/value heads.</summary>
    public long Pairs => Batch * KeyHeads;

    public ScalarType Dtype => values.dtype;

    public Device Device => values.device;

    /// <summary>For each slice the products of a tile's encoded queries with its keys, [c, G*n, keys].</summary>
    public Tensor[] QueriesByKeys(AttentionTile tile) =>
        [.. tile.Block.Slices.Select(slice => BandRows(slice.Band, tile).bmm(BandKeys(slice, tile).transpose(1, 2)))];

    /// <summary>For each slice the products of a tile's upstream rows [c, G*n, D] with the values, [c, G*n, keys].</summary>
    public Tensor[] RowsByValues(AttentionTile tile, Tensor rows) =>
        [.. tile.Block.Slices.Select(slice => rows.bmm(ValuesOf(slice, tile).transpose(1, 2)))];

    /// <summary>
    /// Float32 scores of a tile, [c, G, n, keys of all its slices], hidden pairs at minus infinity. They may be changed in
    /// place. They lie where <see cref="ToFloat32"/> puts them.
    /// </summary>
    public Tensor Scores(AttentionTile tile, Tensor[] products, ScratchBuffer scratch)
    {
        var scores = ToFloat32(tile, products, scratch);
        var column = 0L;
        foreach (var slice in tile.Block.Slices)
        {
            var part = scores.narrow(-1, column, slice.KeyCount);
            Bands[slice.Band].AddBias(part, tile.FirstPair, tile.Block.Start, slice.FirstKey);
            slice.Hide(part);
            column += slice.KeyCount;
        }

        return scores;
    }

    /// <summary>
    /// A tile's products side by side in float32, [c, G, n, keys of all slices]: in <paramref name="scratch"/>, until that is
    /// taken again. A single float32 product is viewed where it lies.
    /// </summary>
    public Tensor ToFloat32(AttentionTile tile, Tensor[] products, ScratchBuffer scratch)
    {
        long[] shape = [tile.Pairs, Group, tile.Block.Rows, tile.Block.Keys];
        if (IsFloat32(products))
        {
            return products[0].view(shape);
        }

        var float32 = scratch.Take(shape, Device);
        var column = 0L;
        foreach (var product in products)
        {
            var part = float32.narrow(-1, column, product.shape[2]);
            part.copy_(product.view_as(part));
            column += product.shape[2];
        }

        return float32;
    }

    /// <summary>
    /// The reverse of <see cref="ToFloat32"/>: what was made of products is written over them, rounded to their dtype. A
    /// single float32 product needs no copy: it was changed in place.
    /// </summary>
    /// <param name="float32">[c, G, n, keys of all slices].</param>
    /// <param name="output">The products, overwritten and returned: per slice [c, G*n, keys].</param>
    public static Tensor[] Round(Tensor float32, Tensor[] output)
    {
        if (IsFloat32(output))
        {
            return output;
        }

        var column = 0L;
        foreach (var product in output)
        {
            product.copy_(float32.narrow(-1, column, product.shape[2]).view_as(product));
            column += product.shape[2];
        }

        return output;
    }

    /// <summary>Rows of the result, [c, G, n, D], from each slice's weights.</summary>
    public Tensor WeightedValues(AttentionTile tile, Tensor[] weights) => tile.Block.Slices
        .Select((slice, n) => weights[n].bmm(ValuesOf(slice, tile))).Aggregate((a, b) => a.add_(b))
        .view(tile.Pairs, Group, tile.Block.Rows, HeadDim);

    /// <summary>A tile's encoded queries in a band, [c, G*n, D].</summary>
    public Tensor BandRows(int band, AttentionTile tile) => ProductRows(queries[band], tile);

    /// <summary>The encoded keys of a slice, [c, keys, D].</summary>
    public Tensor BandKeys(BandSlice slice, AttentionTile tile) => KeysOf(keys[slice.Band], slice, tile);

    /// <summary>A tile's part of a tensor [B*K, G, n, x], a view [c, G, tile's n, x].</summary>
    public Tensor RowsOf(Tensor x, AttentionTile tile) =>
        PairsOf(x, tile).narrow(2, tile.Block.Start - FirstQuery, tile.Block.Rows);

    /// <summary>A tile's part of a tensor [B*K, G, n, x] as rows of a product, [c, G*n, x].</summary>
    public Tensor ProductRows(Tensor x, AttentionTile tile) => RowsOf(x, tile).reshape(tile.Pairs, Group * tile.Block.Rows, -1);

    /// <summary>A slice's part of a tensor [B*K, T, D], a view [c, keys, D].</summary>
    public static Tensor KeysOf(Tensor x, BandSlice slice, AttentionTile tile) =>
        PairsOf(x, tile).narrow(1, slice.FirstKey, slice.KeyCount);

    /// <summary>[B, H, n, D] to [B*K, G, n, D].</summary>
    public Tensor ByPair(Tensor x) => x.contiguous().view(Pairs, Group, Queries, HeadDim);

    private static Tensor PairsOf(Tensor x, AttentionTile tile) =>
        tile.Pairs == x.shape[0] ? x : x.narrow(0, tile.FirstPair, tile.Pairs);

    private Tensor ValuesOf(BandSlice slice, AttentionTile tile) => KeysOf(values, slice, tile);

    private static bool IsFloat32(Tensor[] products) => products is [{ dtype: ScalarType.Float32 }];
}

/// <summary>The gradients of encoded queries and keys and of values, summed over tiles in float32.</summary>
internal sealed class EncodedGradients
{
    private readonly EncodedHeads heads;
    private readonly Tensor[] queries; // per band [B*K, G, n, D]
    private readonly Tensor[] keys; // per band [B*K, T, D]
    private readonly Tensor values; // [B*K, T, D]

    public EncodedGradients(EncodedHeads heads)
    {
        this.heads = heads;
        var bands = heads.Bands;
        queries = [.. bands.Select(_ => Zeros(heads.Group, heads.Queries))];
        keys = [.. bands.Select(_ => Zeros(heads.Tokens))];
        values = Zeros(heads.Tokens);
    }

    /// <summary>Adds P^T dO, the weights times the upstream rows, to the values' gradient.</summary>
    public void AddValues(AttentionTile tile, Tensor[] weights, Tensor rows)
    {
        foreach (var (slice, part) in tile.Block.Slices.Zip(weights))
        {
            EncodedHeads.KeysOf(values, slice, tile).add_(part.transpose(1, 2).bmm(rows));
        }
    }

    /// <summary>Adds dS K to the gradient of the encoded queries, and dS^T Q to that of the encoded keys.</summary>
    public void AddScores(AttentionTile tile, Tensor[] scoreGradients)
    {
        foreach (var (slice, part) in tile.Block.Slices.Zip(scoreGradients))
        {
            var rows = heads.RowsOf(queries[slice.Band], tile);
            rows.add_(part.bmm(heads.BandKeys(slice, tile)).view_as(rows));
            EncodedHeads.KeysOf(keys[slice.Band], slice, tile).add_(part.transpose(1, 2).bmm(heads.BandRows(slice.Band, tile)));
        }
    }

    /// <summary>The gradients before the encodings: [B, H, n, D], [B, K, T, D], [B, K, T, D].</summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Decoded()
    {
        var bands = heads.Bands;
        var dq = bands.Select((band, b) => band.Queries.ApplyTransposed(
            queries[b].view(heads.Batch, -1, heads.Queries, heads.HeadDim), heads.FirstQuery));
        var dk = bands.Select((band, b) => band.Keys.ApplyTransposed(ByHead(keys[b]), 0));
        return (
            dq.Aggregate((a, b) => a + b).to(heads.Dtype),
            dk.Aggregate((a, b) => a + b).to(heads.Dtype),
            ByHead(values).to(heads.Dtype));
    }

    private Tensor ByHead(Tensor x) => x.view(heads.Batch, heads.KeyHeads, heads.Tokens, heads.HeadDim);

    private Tensor Zeros(params long[] rows) => zeros([heads.Pairs, .. rows, heads.HeadDim], ScalarType.Float32, heads.Device);
}
