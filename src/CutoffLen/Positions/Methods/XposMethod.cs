using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// xPos (A Length-Extrapolatable Transformer, arXiv 2212.10554): rotations whose scores decay with distance. Pair n of the
/// score at distance r decays by zeta_n^(r / scale_base) with zeta_n = (2n + 0.4 D) / (1.4 D). torchscale's scale_base is 512,
/// kaiokendev's 2048.
/// </summary>
/// <remarks>
/// The tables contain the decay as zeta^(i / scale_base) on queries and its inverse on keys. One table would overflow float32
/// near 70k tokens at scale_base 512. Positions are therefore cut into spans (28k tokens at 512). Within a span the fastest
/// pair's magnitude, relative to the span's middle, stays between 1e-15 and 1e15. There is one band for each number of spans
/// between query and key. Its rotations are the same, and queries have the factor zeta^(spans * span length / scale_base).
/// Nothing overflows at any length; what underflows is below 1e-30 of a score.
/// </remarks>
public sealed class XposMethod : PositionMethod
{
    private const double LargestMagnitude = 1e15;
    private readonly Frequencies frequencies;
    private readonly double[] decay;
    private readonly int span;

    private XposMethod(PositionModel model, double scaleBase)
    {
        frequencies = new Frequencies(model.InverseFrequencies());
        decay = [.. Enumerable.Range(0, model.HeadDim / 2).Select(n => Math.Log(Zeta(n, model.HeadDim)) / scaleBase)];
        span = (int)Math.Min(int.MaxValue / 4, 2 * Math.Log(LargestMagnitude) / -decay[0]);
    }

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "xpos", "xPos: rotations whose scores decay with distance, fast pairs first.", "2212.10554",
        [SpecKey.Number("scale_base", 1, 1e6, 512, "tokens over which pair n decays by zeta_n")],
        (part, model) => new XposMethod(model, part.Number("scale_base")))
    {
        AltersAttention = true,
        Vanilla = null,
        Exceptions = new Dictionary<PositionProperty, string>
        {
            [PositionProperty.VanillaAtFactorOne] = "scores decay with distance at every length",
            [PositionProperty.ConstantNorm] = "the decay is a magnitude on queries and keys",
        },
    };

    /// <summary>Tokens of a span; rows of at most this length have one band.</summary>
    internal int SpanLength => span;

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => frequencies;

    /// <summary>zeta_n of the paper, in (0, 1).</summary>
    internal static double Zeta(int pair, int headDim) => ((2 * pair) + (0.4 * headDim)) / (1.4 * headDim);

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var within = positions.WithinDocument();
        var fromMiddle = Array.ConvertAll(within, position => (position % span) - (span / 2));
        var keys = Rotation.Of(positions, frequencies, (token, n) => Math.Exp(-decay[n] * fromMiddle[token]));
        var bands = new List<Band>();
        int[] last = [.. Enumerable.Range(0, positions.Length)];
        for (var apart = 0; apart <= within.DefaultIfEmpty(0).Max() / span; apart++)
        {
            var (spansApart, shift) = (apart, (double)apart * span);
            var queries = Rotation.Of(positions, frequencies, (token, n) => Math.Exp(decay[n] * (fromMiddle[token] + shift)));
            var first = positions.FirstAtLeast(token => ((within[token] / span) - spansApart) * span);
            bands.Add(new Band(queries, keys, first, last));
            last = Array.ConvertAll(first, token => token - 1);
        }

        return bands;
    }
}
