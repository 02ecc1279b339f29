using CutoffLen.Hardware;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Queries, keys and values of one attention with each band's encodings applied, and the batched products between
/// them. The G query heads of a key/value head are rows of one product, so keys are never repeated. All lie in the
/// workspace.
/// </summary>
internal sealed class EncodedHeads
{
    /// <summary>The factor of scores beside 1/sqrt(D): log2(e).</summary>
    public const double ScoreFactor = 1.4426950408889634;

    private readonly Tensor[] queries; // per band [B*K, G, n, D]
    private readonly Tensor[] keys; // per band [B*K, T, D]
    private readonly Tensor values; // [B*K, T, D]

    /// <summary>Encodes queries [B, H, n, D], the first of them at token <paramref name="firstQuery"/>, and keys [B, K, T, D].</summary>
    public EncodedHeads(
        IReadOnlyList<DeviceBand> bands, int firstQuery, Tensor queries, Tensor keys, Tensor values, Workspace workspace, bool areEncoded = false)
    {
        (Bands, FirstQuery, Workspace) = (bands, firstQuery, workspace);
        Encodings = [.. bands.Select(band => areEncoded ? band.Remaining : (band.Queries, band.Keys))];
        if (Encodings.Any(band => band.Keys is DeviceRotationByHead))
        {
            KeyRepeats = queries.shape[1] / keys.shape[1];
            (keys, values) = (keys.repeat_interleave(KeyRepeats, 1), values.repeat_interleave(KeyRepeats, 1));
        }

        (Batch, KeyHeads, Tokens, HeadDim) = (keys.shape[0], keys.shape[1], keys.shape[2], keys.shape[3]);
        (Group, Queries, Dtype, Device) = (queries.shape[1] / KeyHeads, queries.shape[2], values.dtype, values.device);
        this.values = Like(values, "values").copy_(values).view(Pairs, Tokens, HeadDim);
        this.queries = [.. Encodings.Select((band, b) => Encode(band.Queries, queries, firstQuery, $"encoded queries.{b}").view(Pairs, Group, Queries, HeadDim))];
        var encoded = new Dictionary<DeviceEncoding, Tensor>(); // bands may share an encoding of the keys
        this.keys = [.. Encodings.Select(band => encoded.TryGetValue(band.Keys, out var known)
            ? known
            : encoded[band.Keys] = Encode(band.Keys, keys, 0, $"encoded keys.{encoded.Count}").view(Pairs, Tokens, HeadDim))];

        Tensor Encode(DeviceEncoding encoding, Tensor x, int start, string name)
        {
            var result = Like(x, name);
            encoding.Apply(x, start, result, workspace);
            return result;
        }

        Tensor Like(Tensor x, string name) => workspace.Take(name + " by head", x.dtype, x.device, x.shape);
    }

    public IReadOnlyList<DeviceBand> Bands { get; }

    /// <summary>Each band's encodings, or what remains of them.</summary>
    public IReadOnlyList<(DeviceEncoding Queries, DeviceEncoding Keys)> Encodings { get; }

    public Workspace Workspace { get; }

    public int FirstQuery { get; }

    public long Batch { get; }

    /// <summary>Heads that each key/value head was repeated for: all of its query heads where they encode keys differently, else 1.</summary>
    public long KeyRepeats { get; } = 1;

    /// <summary>Heads of keys and values, after they were repeated.</summary>
    public long KeyHeads { get; }

    public long Group { get; }

    public long Queries { get; }

    public long Tokens { get; }

    public long HeadDim { get; }

    /// <summary>B*K, rows of the batch times key/value heads.</summary>
    public long Pairs => Batch * KeyHeads;

    public ScalarType Dtype { get; }

    public Device Device { get; }

    /// <summary>
    /// Scores of a tile, times <see cref="ScoreFactor"/>, hidden pairs at minus infinity. They may be changed in place.
    /// </summary>
    public TileProducts Scores(AttentionTile tile)
    {
        var scores = Products(tile, "scores", slice => (BandRows(slice.Band, tile), BandKeys(slice, tile)));
        foreach (var (slice, column) in tile.Columns())
        {
            var part = scores.Float32.narrow(-1, column, slice.KeyCount);
            Bands[slice.Band].AddBias(part, tile.FirstPair, tile.Block.Start, slice.FirstKey);
            slice.Hide(part);
        }

        return scores;
    }

    /// <summary>The products of a tile's upstream rows [c, G*n, D] with the values.</summary>
    public TileProducts RowsByValues(AttentionTile tile, Tensor rows) =>
        Products(tile, "score gradients", slice => (rows, ValuesOf(slice, tile)));

    /// <summary>Rows of the result, [c, G, n, D], from weights [c, G*n, keys of all slices].</summary>
    public Tensor WeightedValues(AttentionTile tile, Tensor weights)
    {
        var attended = Workspace.Take("attended rows", Dtype, Device, tile.Pairs, Group * tile.Block.Rows, HeadDim);
        foreach (var (slice, column) in tile.Columns())
        {
            var part = weights.narrow(-1, column, slice.KeyCount);
            if (column == 0)
            {
                Kernels.BatchedMatmul(part, ValuesOf(slice, tile), attended);
            }
            else
            {
                Kernels.BatchedMatmulAdded(attended, part, ValuesOf(slice, tile), attended);
            }
        }

        return attended.view(tile.Pairs, Group, tile.Block.Rows, HeadDim);
    }

    /// <summary>Copies rows [c, G, n, D] of a tile to where they belong in [B, K, G, n, D].</summary>
    public void PlaceRows(Tensor output, AttentionTile tile, Tensor rows)
    {
        var (batch, head) = (tile.FirstPair / KeyHeads, tile.FirstPair % KeyHeads);
        var heads = Math.Min(tile.Pairs, KeyHeads);
        output.narrow(0, batch, tile.Pairs / heads).narrow(1, head, heads).narrow(3, tile.Block.Start - FirstQuery, tile.Block.Rows)
            .copy_(rows.view(-1, heads, Group, tile.Block.Rows, HeadDim));
    }

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

    /// <summary>[B, H, n, D] to [B*K, G, n, D], in the workspace.</summary>
    public Tensor ByPair(Tensor x, string name) =>
        Workspace.Take(name, x.dtype, x.device, x.shape).copy_(x).view(Pairs, Group, Queries, HeadDim);

    /// <summary>For each slice the products of its rows [c, G*n, D] with its keys [c, keys, D], side by side.</summary>
    private TileProducts Products(AttentionTile tile, string name, Func<BandSlice, (Tensor Rows, Tensor Keys)> factors)
    {
        long[] shape = [tile.Pairs, Group * tile.Block.Rows, tile.Block.Keys];
        var products = Workspace.Take(name, Dtype, Device, shape);
        foreach (var (slice, column) in tile.Columns())
        {
            var (rows, others) = factors(slice);
            Kernels.BatchedMatmul(rows, others.transpose(1, 2), products.narrow(-1, column, slice.KeyCount));
        }

        var float32 = Dtype == ScalarType.Float32 ? products : Workspace.Take($"float32 {name}", ScalarType.Float32, Device, shape).copy_(products);
        return new TileProducts(float32.view(tile.Pairs, Group, tile.Block.Rows, tile.Block.Keys), products);
    }

    private static Tensor PairsOf(Tensor x, AttentionTile tile) =>
        tile.Pairs == x.shape[0] ? x : x.narrow(0, tile.FirstPair, tile.Pairs);

    private Tensor ValuesOf(BandSlice slice, AttentionTile tile) => KeysOf(values, slice, tile);
}

/// <summary>Products of a tile, in float32 for arithmetic and in the model's dtype for further products.</summary>
/// <param name="Float32">[c, G, n, keys of all slices]; changed in place.</param>
/// <param name="InModelDtype">[c, G*n, keys of all slices]; the same memory where the dtype is float32.</param>
internal sealed record TileProducts(Tensor Float32, Tensor InModelDtype)
{
    /// <summary>What was made of the products in float32, rounded to the model's dtype.</summary>
    public Tensor Round() => InModelDtype.dtype == ScalarType.Float32 ? InModelDtype : InModelDtype.copy_(Float32.view_as(InModelDtype));
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
        queries = [.. bands.Select((_, b) => Zeros($"query gradients.{b}", heads.Group, heads.Queries))];
        keys = [.. bands.Select((_, b) => Zeros($"key gradients.{b}", heads.Tokens))];
        values = Zeros("value gradients", heads.Tokens);
    }

    /// <summary>Adds P^T dO, the weights [c, G*n, keys of all slices] times the upstream rows [c, G*n, D], to the values' gradient.</summary>
    public void AddValues(AttentionTile tile, Tensor weights, Tensor rows)
    {
        foreach (var (slice, column) in tile.Columns())
        {
            AddProduct(EncodedHeads.KeysOf(values, slice, tile), weights.narrow(-1, column, slice.KeyCount).transpose(1, 2), rows);
        }
    }

    /// <summary>Adds dS K to the gradient of the encoded queries, and dS^T Q to that of the encoded keys.</summary>
    public void AddScores(AttentionTile tile, Tensor scoreGradients)
    {
        foreach (var (slice, column) in tile.Columns())
        {
            var part = scoreGradients.narrow(-1, column, slice.KeyCount);
            var rows = heads.RowsOf(queries[slice.Band], tile); // [c, G, n, D]
            if (heads.Group == 1)
            {
                AddProduct(rows.squeeze(1), part, heads.BandKeys(slice, tile));
            }
            else
            {
                rows.add_(part.bmm(heads.BandKeys(slice, tile)).view_as(rows));
            }

            AddProduct(EncodedHeads.KeysOf(keys[slice.Band], slice, tile), part.transpose(1, 2), heads.BandRows(slice.Band, tile));
        }
    }

    /// <summary>The gradients before the encodings: [B, H, n, D], [B, K, T, D], [B, K, T, D].</summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Decoded()
    {
        var bands = heads.Encodings;
        var dq = bands.Select((band, b) => (band.Queries, queries[b].view(heads.Batch, -1, heads.Queries, heads.HeadDim)));
        var dk = bands.Select((band, b) => (band.Keys, ByHead(keys[b])));
        return (Decode(dq, heads.FirstQuery), OverRepeats(Decode(dk, 0)), OverRepeats(ByHead(values)).to(heads.Dtype, copy: true));
    }

    /// <summary>The sum over bands. The factor of the scores is in the encoded queries, and so in both gradients once too often.</summary>
    private Tensor Decode(IEnumerable<(DeviceEncoding Encoding, Tensor Gradient)> bands, int start)
    {
        Tensor? sum = null;
        foreach (var (encoding, gradient) in bands)
        {
            var decoded = sum is null ? empty_like(gradient) : heads.Workspace.Take("decoded gradients", gradient.dtype, gradient.device, gradient.shape);
            encoding.ApplyTransposed(gradient, start, decoded, heads.Workspace);
            decoded.div_(Kept(EncodedHeads.ScoreFactor));
            sum = sum is null ? decoded : sum.add_(decoded);
        }

        return sum!.to(heads.Dtype);
    }

    /// <summary>The sum over the heads that a key/value head was repeated for.</summary>
    private Tensor OverRepeats(Tensor x) => heads.KeyRepeats == 1 ? x : x.unflatten(1, -1, heads.KeyRepeats).sum(2);

    private static void AddProduct(Tensor sum, Tensor a, Tensor b)
    {
        if (a.dtype == ScalarType.Float32)
        {
            Kernels.BatchedMatmulAdded(sum, a, b, sum);
        }
        else
        {
            sum.add_(a.bmm(b));
        }
    }

    private Tensor ByHead(Tensor x) => x.view(heads.Batch, heads.KeyHeads, heads.Tokens, heads.HeadDim);

    private Tensor Zeros(string name, params ReadOnlySpan<long> rows) =>
        heads.Workspace.Take(name, ScalarType.Float32, heads.Device, [heads.Pairs, .. rows, heads.HeadDim]).zero_();
}
