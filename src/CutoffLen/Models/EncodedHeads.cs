using static TorchSharp.torch;

namespace CutoffLen.Models;

/// <summary>
/// Queries, keys and values of one attention with each band's encodings applied, and the batched products between
/// them. The G query heads of a key/value head are rows of one product, so keys are never repeated.
/// </summary>
internal sealed class EncodedHeads
{
    private readonly Tensor[] queries; // per band [B, H, n, D]
    private readonly Tensor[] keys; // per band [B*K, T, D]
    private readonly Tensor values; // [B*K, T, D]

    public EncodedHeads(AttentionPlan plan, Tensor queries, Tensor keys, Tensor values)
    {
        Plan = plan;
        (Batch, Heads, Queries, HeadDim) = (queries.shape[0], queries.shape[1], queries.shape[2], queries.shape[3]);
        (KeyHeads, Tokens) = (keys.shape[1], keys.shape[2]);
        this.values = values.reshape(Batch * KeyHeads, Tokens, HeadDim);
        this.queries = [.. plan.Bands.Select(band => band.Queries.Apply(queries, plan.FirstQuery))];
        var encoded = new Dictionary<DeviceEncoding, Tensor>(); // bands may share an encoding of the keys
        this.keys = [.. plan.Bands.Select(band => encoded.TryGetValue(band.Keys, out var known)
            ? known
            : encoded[band.Keys] = band.Keys.Apply(keys, 0).reshape(Batch * KeyHeads, Tokens, HeadDim))];
    }

    public AttentionPlan Plan { get; }

    public long Batch { get; }

    public long Heads { get; }

    public long KeyHeads { get; }

    public long Group => Heads / KeyHeads;

    public long Queries { get; }

    public long Tokens { get; }

    public long HeadDim { get; }

    public ScalarType Dtype => values.dtype;

    public Device Device => values.device;

    /// <summary>Float32 scores of a block, [B, K, G, n, keys of all its slices], hidden pairs at minus infinity.</summary>
    public Tensor Scores(AttentionBlock block) => PerSlice(block, slice =>
    {
        var scores = Product(BandRows(slice.Band, block), BandKeys(slice));
        Plan.Bands[slice.Band].AddBias(scores, block.Start, slice.FirstKey);
        slice.Hide(scores);
        return scores;
    });

    /// <summary>Float32 products of upstream rows [B*K, G*n, D] with the values, in the shape of the scores.</summary>
    public Tensor GradientOfWeights(AttentionBlock block, Tensor upstream) =>
        PerSlice(block, slice => Product(upstream, SliceOf(values, slice)));

    /// <summary>Rows of the result, [B*K, G*n, D], from weights in the shape of the scores.</summary>
    public Tensor WeightedValues(AttentionBlock block, Tensor weights) =>
        Columns(block, weights).Select(part => part.Weights.bmm(SliceOf(values, part.Slice))).Aggregate((a, b) => a.add_(b));

    /// <summary>The weights [B*K, G*n, keys] of each slice.</summary>
    public IEnumerable<(BandSlice Slice, Tensor Weights)> Columns(AttentionBlock block, Tensor weights)
    {
        var offset = 0;
        foreach (var slice in block.Slices)
        {
            var part = weights.narrow(-1, offset, slice.KeyCount);
            yield return (slice, part.reshape(Batch * KeyHeads, Group * block.Rows, slice.KeyCount));
            offset += slice.KeyCount;
        }
    }

    /// <summary>The block's encoded queries in a band, [B*K, G*n, D].</summary>
    public Tensor BandRows(int band, AttentionBlock block) =>
        QueryRows(queries[band], block.Start - Plan.FirstQuery, block.Rows);

    /// <summary>The encoded keys of a slice, [B*K, keys, D].</summary>
    public Tensor BandKeys(BandSlice slice) => SliceOf(keys[slice.Band], slice);

    /// <summary>Rows of a tensor shaped like the queries, [B*K, G*n, D].</summary>
    public Tensor QueryRows(Tensor x, long start, long rows) =>
        x.narrow(2, start, rows).reshape(Batch * KeyHeads, Group * rows, HeadDim);

    /// <summary>[B*K, G*n, D] to [B, n, H, D].</summary>
    public Tensor MergeHeads(Tensor rows) => rows.view(Batch, Heads, -1, HeadDim).transpose(1, 2);

    /// <summary>[B, H, n, x] to [B, K, G, n, x].</summary>
    public Tensor SplitHeads(Tensor x) => x.unflatten(1, KeyHeads, Group);

    private static Tensor SliceOf(Tensor x, BandSlice slice) => x.narrow(1, slice.FirstKey, slice.KeyCount);

    private Tensor Product(Tensor rows, Tensor columns) =>
        rows.bmm(columns.transpose(1, 2)).to(ScalarType.Float32).view(Batch, KeyHeads, Group, -1, columns.shape[1]);

    private static Tensor PerSlice(AttentionBlock block, Func<BandSlice, Tensor> make) => block.Slices.Count == 1
        ? make(block.Slices[0])
        : cat([.. block.Slices.Select(make)], -1);
}

/// <summary>The gradients of queries, keys and values, gathered block by block.</summary>
internal sealed class EncodedGradients
{
    private readonly EncodedHeads heads;
    private readonly Tensor[] queries; // per band [B, n, H, D], each row written by one block
    private readonly Tensor[] keys; // per band [B*K, T, D] float32, summed over blocks
    private readonly Tensor values; // [B*K, T, D] float32

    public EncodedGradients(EncodedHeads heads)
    {
        this.heads = heads;
        var bands = heads.Plan.Bands;
        queries = [.. bands.Select(_ => zeros([heads.Batch, heads.Queries, heads.Heads, heads.HeadDim], heads.Dtype, heads.Device))];
        keys = [.. bands.Select(_ => Sum())];
        values = Sum();
    }

    /// <summary>Adds weights^T times the upstream rows to the values' gradient.</summary>
    public void AddValues(AttentionBlock block, Tensor weights, Tensor upstream)
    {
        foreach (var (slice, part) in heads.Columns(block, weights))
        {
            values.narrow(1, slice.FirstKey, slice.KeyCount).add_(part.transpose(1, 2).bmm(upstream));
        }
    }

    /// <summary>Carries the gradient of the scores on to the encoded queries and keys.</summary>
    public void AddScores(AttentionBlock block, Tensor slope)
    {
        foreach (var (slice, part) in heads.Columns(block, slope))
        {
            var rows = queries[slice.Band].narrow(1, block.Start - heads.Plan.FirstQuery, block.Rows);
            rows.copy_(heads.MergeHeads(part.bmm(heads.BandKeys(slice))));
            var sum = keys[slice.Band].narrow(1, slice.FirstKey, slice.KeyCount);
            sum.add_(part.transpose(1, 2).bmm(heads.BandRows(slice.Band, block)));
        }
    }

    /// <summary>The gradients before the encodings: [B, H, n, D], [B, K, T, D], [B, K, T, D].</summary>
    public (Tensor Queries, Tensor Keys, Tensor Values) Decoded()
    {
        var bands = heads.Plan.Bands;
        var dq = bands.Select((band, b) => band.Queries.ApplyTransposed(queries[b].transpose(1, 2), heads.Plan.FirstQuery));
        var dk = bands.Select((band, b) => band.Keys.ApplyTransposed(Split(keys[b]), 0));
        return (
            dq.Aggregate((a, b) => a + b),
            dk.Aggregate((a, b) => a + b).to(heads.Dtype),
            Split(values).to(heads.Dtype));
    }

    private Tensor Split(Tensor x) => x.view(heads.Batch, heads.KeyHeads, heads.Tokens, heads.HeadDim);

    private Tensor Sum() =>
        zeros([heads.Batch * heads.KeyHeads, heads.Tokens, heads.HeadDim], ScalarType.Float32, heads.Device);
}
