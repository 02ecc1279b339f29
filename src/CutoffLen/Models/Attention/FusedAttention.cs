using CutoffLen.Hardware;
using CutoffLen.Positions;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Models.Attention;

/// <summary>
/// Plain causal attention inside documents through libtorch's fused kernels (FlashAttention, arXiv 2205.14135), which are
/// linear in memory. Shapes as in <see cref="AttentionPlan"/>.
/// <para>
/// libtorch's kernel for CPUs computes up to 512 keys of a row beyond the causal ones. So in float32 a document is cut: into
/// causal parts on the diagonal, and squares before them that need no mask. Queries in the middle of a row have one rectangle more:
/// the keys of their document before the first query. The results of a query's parts are merged by their log-sum-exps.
/// Documents of one token, as padding tokens are, need no kernel: each gets its own value.
/// </para>
/// </summary>
internal sealed class FusedAttention : IAttention
{
    private const int Leaf = 128; // tokens of a causal part: below, the kernel's own products get slow

    private readonly DeviceEncoding encoding; // of queries too: the kernel has the factor 1/sqrt(D) itself
    private readonly IReadOnlyList<DocumentRun> documents; // those with queries, up to the last key
    private readonly int firstQuery;
    private readonly Workspace workspace;

    private FusedAttention(DeviceEncoding encoding, IReadOnlyList<DocumentRun> documents, int firstQuery, Workspace workspace) =>
        (this.encoding, this.documents, this.firstQuery, this.workspace) = (encoding, documents, firstQuery, workspace);

    /// <summary>Fused attention where the kernels support the bands; else null.</summary>
    /// <param name="bands">The plan's bands.</param>
    /// <param name="firstQuery">Token index of the first query.</param>
    /// <param name="length">T, the number of keys.</param>
    /// <param name="workspace">Memory for the moment.</param>
    public static FusedAttention? For(IReadOnlyList<DeviceBand> bands, int firstQuery, int length, Workspace workspace) =>
        DocumentsOf([.. bands.Select(band => band.Band)]) is { } documents
            ? new FusedAttention(
                bands[0].Keys,
                [.. documents.Where(document => document.End > firstQuery && document.Start < length).Select(document => document with { End = Math.Min(document.End, length) })],
                firstQuery, workspace)
            : null;

    /// <summary>Whether the kernels support the bands: one rotation, and queries that see all of their document before them.</summary>
    public static bool Supports(IReadOnlyList<Band> bands) => DocumentsOf(bands) is not null;

    /// <inheritdoc/>
    public (Tensor Output, Tensor[] Kept) Forward(Tensor queries, Tensor keys, Tensor values, bool keepLogSumExp, bool areEncoded)
    {
        using var scope = NewDisposeScope();
        var (q, k) = areEncoded ? (queries, keys) : (EncodedQueries(queries), EncodedKeys(keys));
        var parts = Parts(queries);
        if (IsWhole(parts))
        {
            var (whole, kept) = Kernels.FlashAttention(q, k, values, causal: true);
            return (whole.MoveToOuterDisposeScope(), [.. kept.Select(tensor => tensor.MoveToOuterDisposeScope())]);
        }

        var (output, logSumExp) = (ByToken(queries), empty([.. queries.shape[..3]], ScalarType.Float32, queries.device));
        Tensor[] keptOfAll = [logSumExp];
        foreach (var part in parts)
        {
            using var partScope = NewDisposeScope();
            if (part.SeesItself)
            {
                part.QueriesOf(output).unflatten(1, values.shape[1], -1).copy_(part.KeysOf(values).unsqueeze(2));
                continue;
            }

            var (attended, kept) = Kernels.FlashAttention(part.QueriesOf(q), part.KeysOf(k), part.KeysOf(values), part.IsCausal);
            if (part.IsCausal)
            {
                part.QueriesOf(output).copy_(attended);
                part.QueriesOf(logSumExp).copy_(kept[0]);
                keptOfAll = [logSumExp, .. kept[1..].Select(tensor => tensor.MoveToOuterDisposeScope())]; // alike for all parts
            }
            else
            {
                Kernels.MergeAttention(part.QueriesOf(output), part.QueriesOf(logSumExp), attended, kept[0]);
            }
        }

        return (output.MoveToOuterDisposeScope(), [.. keptOfAll.Select(tensor => tensor.MoveToOuterDisposeScope())]);
    }

    /// <inheritdoc/>
    public (Tensor Queries, Tensor Keys, Tensor Values) Backward(
        Tensor queries, Tensor keys, Tensor values, Tensor output, Tensor[] kept, Tensor gradient, bool areEncoded)
    {
        using var scope = NewDisposeScope();
        var (q, k) = areEncoded ? (queries, keys) : (EncodedQueries(queries), EncodedKeys(keys));
        var parts = Parts(queries);
        var (dq, dk, dv) = IsWhole(parts)
            ? Kernels.FlashAttentionBackward(gradient, q, k, values, output, causal: true, kept)
            : (ByToken(queries), ByToken(keys), ByToken(values));
        dk.narrow(2, 0, firstQuery).zero_(); // keys before the queries have no causal part, which would set their gradients
        dv.narrow(2, 0, firstQuery).zero_();
        foreach (var part in IsWhole(parts) ? [] : parts)
        {
            using var partScope = NewDisposeScope();
            if (part.SeesItself)
            {
                part.QueriesOf(dq).zero_();
                part.KeysOf(dk).zero_();
                part.KeysOf(dv).copy_(part.QueriesOf(gradient).unflatten(1, values.shape[1], -1).sum([2]));
                continue;
            }

            var (queryPart, keyPart, valuePart) = Kernels.FlashAttentionBackward(
                part.QueriesOf(gradient), part.QueriesOf(q), part.KeysOf(k), part.KeysOf(values), part.QueriesOf(output), part.IsCausal,
                [part.QueriesOf(kept[0]), .. kept[1..]]);
            Add(part.QueriesOf(dq), queryPart);
            Add(part.KeysOf(dk), keyPart);
            Add(part.KeysOf(dv), valuePart);

            void Add(Tensor sum, Tensor gradients)
            {
                if (part.IsCausal)
                {
                    sum.copy_(gradients); // the first part of these tokens
                }
                else
                {
                    sum.add_(gradients);
                }
            }
        }

        (dq, dk) = areEncoded ? (dq, dk) : (Decode(dq, firstQuery), Decode(dk, 0));
        return (dq.MoveToOuterDisposeScope(), dk.MoveToOuterDisposeScope(), dv.MoveToOuterDisposeScope());
    }

    private Tensor EncodedQueries(Tensor queries) => Encode(queries, firstQuery, "encoded queries");

    private Tensor EncodedKeys(Tensor keys) => Encode(keys, 0, "encoded keys");

    private Tensor Encode(Tensor x, int start, string name)
    {
        var encoded = workspace.Take(name, x.dtype, x.device, x.shape[0], x.shape[2], x.shape[1], x.shape[3]).transpose(1, 2);
        encoding.Apply(x, start, encoded, workspace);
        return encoded;
    }

    private Tensor Decode(Tensor gradient, int start)
    {
        var decoded = ByToken(gradient);
        encoding.ApplyTransposed(gradient, start, decoded, workspace);
        return decoded;
    }

    /// <summary>Whether one causal part is all queries and all keys.</summary>
    private bool IsWhole(List<AttentionPart> parts) => parts is [{ IsCausal: true }] && firstQuery == 0;

    /// <summary>The kernel's calls; a token's causal part comes before the rectangles that are merged with it.</summary>
    private List<AttentionPart> Parts(Tensor queries)
    {
        var leaf = queries.device.type == DeviceType.CPU && queries.dtype == ScalarType.Float32 ? Leaf : int.MaxValue;
        return [.. documents.SelectMany(PartsOf).Select(part => part with { FirstQuery = part.FirstQuery - firstQuery })];

        IEnumerable<AttentionPart> PartsOf(DocumentRun document)
        {
            var (start, end) = (document.Start, document.End);
            var first = Math.Max(start, firstQuery);
            if (document.AreTokens)
            {
                return [new AttentionPart(first, end - first, first, end - first, IsCausal: false) { SeesItself = true }];
            }

            var parts = AttentionPart.Of(first, end - first, leaf);
            return first == start ? parts : parts.Append(new AttentionPart(first, end - first, start, first - start, IsCausal: false));
        }
    }

    /// <summary>New memory of the shape of x, [B, H, T, D], in which a token's heads lie together.</summary>
    private static Tensor ByToken(Tensor x) =>
        empty([x.shape[0], x.shape[2], x.shape[1], x.shape[3]], x.dtype, x.device).transpose(1, 2);

    /// <summary>The documents where the kernels support the bands; else null.</summary>
    private static List<DocumentRun>? DocumentsOf(IReadOnlyList<Band> bands)
    {
        if (bands is not [{ SharesRotation: true, BiasSlopes: null } band])
        {
            return null;
        }

        var found = new List<DocumentRun>();
        for (int start = 0, end; start < band.First.Length; start = end)
        {
            for (end = start; end < band.First.Length && band.First[end] == start; end++)
            {
                if (band.Last[end] != end)
                {
                    return null;
                }
            }

            if (end == start)
            {
                return null;
            }

            var isToken = end == start + 1;
            if (isToken && found is [.., { AreTokens: true } before])
            {
                found[^1] = before with { End = end };
            }
            else
            {
                found.Add(new DocumentRun(start, end, isToken));
            }
        }

        return found;
    }

    /// <summary>A document, or neighbours of one token each.</summary>
    private readonly record struct DocumentRun(int Start, int End, bool AreTokens);
}

/// <summary>Queries and keys of one call of the kernel: a causal square on the diagonal, or all pairs of a rectangle before it.</summary>
/// <param name="FirstQuery">The first query, counted from the first of all queries.</param>
/// <param name="Queries">How many queries.</param>
/// <param name="FirstKey">Token index of the first key.</param>
/// <param name="Keys">How many keys.</param>
/// <param name="IsCausal">Whether query i sees the keys up to the i-th, or all.</param>
internal sealed record AttentionPart(int FirstQuery, int Queries, int FirstKey, int Keys, bool IsCausal)
{
    /// <summary>Whether each query sees its own key only.</summary>
    public bool SeesItself { get; init; }

    /// <summary>The queries' part of a tensor [B, H, T, ...].</summary>
    public Tensor QueriesOf(Tensor x) => x.narrow(2, FirstQuery, Queries);

    /// <summary>The keys' part of a tensor [B, K, T, ...].</summary>
    public Tensor KeysOf(Tensor x) => x.narrow(2, FirstKey, Keys);

    /// <summary>Cuts causal attention of consecutive tokens in halves, down to causal parts of at most <paramref name="leaf"/> tokens.</summary>
    public static IEnumerable<AttentionPart> Of(int start, int length, int leaf)
    {
        if (length <= leaf)
        {
            return [new AttentionPart(start, length, start, length, IsCausal: true)];
        }

        var half = leaf;
        while (2 * half < length)
        {
            half *= 2;
        }

        return
        [
            .. Of(start, half, leaf),
            .. Of(start + half, length - half, leaf),
            new AttentionPart(start + half, length - half, start, half, IsCausal: false),
        ];
    }
}
