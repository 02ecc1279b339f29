using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// LaMPE, length-aware multi-grained positional encoding (arXiv 2508.02308). The distances of a document of l tokens, more than
/// the original length, are mapped to m = floor(L / (1 + e^-(a l + b))). Distances up to s1 are RoPE's own. The s2 largest, r of
/// l - s2 and more, count as r - l + m. Between them r counts as floor((r - s1) (m - s1 - s2) / (l - s1 - s2)) + s1.
/// </summary>
/// <remarks>
/// A rotation needs a position of the query and one of the key. So both are floored, as in the authors' code (scar-on/LaMPE,
/// llama_cache1.py, commit 4e3c91f), and not the distance: a middle distance is the paper's or one more.
/// The code differs from the paper in more, which is not followed. It maps position p to p m / (l - 1), so its longest distance is
/// m + (s1 + s2)(1 - m/l). Its full forward scores pairs at the regions' borders twice. Its decoding keeps the mapping of the
/// prompt. It multiplies queries and keys by 0.1 ln(2) + 1; <c>attention_factor</c> is 1 unless given.
/// Only these formulas of the paper and the code were read. Documents up to the original length are left as they are, as in the
/// code's L-Eval script.
/// </remarks>
public sealed class LampeMethod : PositionMethod
{
    // a and b of the authors' code for Llama 3, whose window is 8192 tokens. Its head of 512 and tail of 200 are the defaults' shares.
    private const double FittedLength = 8192;
    private const double FittedA = 0.00010493097327094324;
    private const double FittedB = -2.466638011138158;

    private readonly Frequencies frequencies;
    private readonly int original;
    private readonly int head;
    private readonly int tail;
    private readonly Func<int, int> mappingLength;

    private LampeMethod(PositionModel model, SpecPart part)
    {
        frequencies = new(model.InverseFrequencies(), part.Number("attention_factor"));
        (original, head, tail) = (part.Tokens("original"), part.Tokens("head"), part.Tokens("tail"));
        var (most, a, b) = (part.Tokens("max_mapping_length"), part.Number("a"), part.Number("b"));
        mappingLength = length => length <= original
            ? length
            : Math.Clamp((int)(most / (1 + Math.Exp(-((a * length) + b)))), head + tail, length);
    }

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "lampe", "LaMPE: near and farthest distances kept, those between squeezed by the length of the sequence.", "2508.02308",
        [
            CommonKeys.Original,
            SpecKey.Tokens("head", 1, null, "s1: distances up to it are RoPE's own")
                .DefaultsTo("original / 16", (part, _, _) => part.Tokens("original") / 16),
            SpecKey.Tokens("tail", 1, null, "s2: this many of the largest distances grow by 1 a token")
                .DefaultsTo("original / 40", (part, _, _) => part.Tokens("original") / 40),
            SpecKey.Tokens("max_mapping_length", 1, null, "L: the largest length that sequences are mapped to")
                .DefaultsTo("original * 3/4", (part, _, _) => Math.Floor(part.Tokens("original") * 0.75)),
            SpecKey.Number("a", 0, 1, null, "slope of the sigmoid, per token").DefaultsTo(
                "0.86 / original, as fitted for Llama 3", (part, _, _) => FittedA * FittedLength / part.Tokens("original")),
            SpecKey.Number("b", -100, 100, FittedB, "offset of the sigmoid"),
            CommonKeys.AttentionFactorOfOne,
        ],
        Create)
    {
        AltersAttention = true,
        DependsOnLength = true,
        Vanilla = _ => "lampe",
        Exceptions = new Dictionary<PositionProperty, string>
        {
            [PositionProperty.DistanceOnly] = "groups begin at fixed positions, so equal distances may span different numbers of groups",
        },
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <inheritdoc/>
    public override bool SameAt(int length, int other) => length == other || Math.Max(length, other) <= original;

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => frequencies;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var (within, lengths) = (positions.WithinDocument(), positions.SpanOfDocument());
        Rotation At(Func<int, int> position) =>
            Rotation.Of([.. Enumerable.Range(0, positions.Length).Select(token => (double)position(token))], frequencies);
        var own = Rotation.Of(positions, frequencies);
        var middleQueries = At(token => Squeezed(within[token] - head, lengths[token]) + head);
        var middleKeys = At(token => Squeezed(within[token], lengths[token]));
        var tailQueries = At(token => positions.Ids[token] - lengths[token] + mappingLength(lengths[token]));

        var first = positions.FirstAtLeast(token => within[token] - head);
        var middleFirst = positions.FirstAtLeast(token => within[token] - Math.Max(head, lengths[token] - tail - 1));
        return
        [
            new Band(own, own, first, [.. Enumerable.Range(0, positions.Length)]),
            new Band(middleQueries, middleKeys, middleFirst, Array.ConvertAll(first, token => token - 1)),
            new Band(tailQueries, own, positions.StartOfDocument(), Array.ConvertAll(middleFirst, token => token - 1)),
        ];
    }

    /// <summary>A position between head and tail in a document of <paramref name="length"/> tokens.</summary>
    private int Squeezed(int position, int length)
    {
        var mapped = mappingLength(length);
        return mapped == length ? position : (int)((long)position * (mapped - head - tail) / (length - head - tail));
    }

    private static LampeMethod Create(SpecPart part, PositionModel model)
    {
        var (original, head, tail) = (part.Tokens("original"), part.Tokens("head"), part.Tokens("tail"));
        return head + tail < original
            ? new LampeMethod(model, part)
            : throw new UserException($"'{part}': head ({head}) and tail ({tail}) must be less than original ({original}) together");
    }
}
