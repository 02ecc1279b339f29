using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Log-n scaling: the query at position i times max(1, ln(i + 1) / ln(original)), which keeps the entropy of attention as the
/// number of keys grows (Su Jianlin, kexue.fm/archives/8823; used with ReRoPE and NTK-mixed).
/// </summary>
public sealed class LogNMethod(PositionMethod inner, PositionModel model, int original) : PositionMethod
{
    /// <summary>The registry's line.</summary>
    public static ModifierEntry Entry { get; } = new(
        "logn", "Scales the query at position i by max(1, ln(i + 1) / ln(original)).", "https://kexue.fm/archives/8823",
        [
            SpecKey.Tokens("original", 2, null, "positions below it are not scaled")
                .DefaultsTo("the native length", (_, model, _) => model.NativeLength),
        ],
        (part, model, inner) => new LogNMethod(inner, model, part.Tokens("original")))
    {
        AltersAttention = true,
        Exceptions = new Dictionary<PositionTheory, string>
        {
            [PositionTheory.ConstantNorm] = "late queries grow",
            [PositionTheory.DistanceOnly] = "late queries grow",
        },
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => inner.DependsOnLength;

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => inner.RotaryFrequencies(length);

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var scales = Array.ConvertAll(positions.WithinDocument(), at => Math.Max(1, Math.Log(at + 1) / Math.Log(original)));
        return [.. inner.Bands(positions).Select(band => band with { Queries = Scaled(band.Queries, scales) })];
    }

    private PositionEncoding Scaled(PositionEncoding queries, double[] scales) => queries switch
    {
        Rotation rotation => rotation with
        {
            Cos = Scaled(rotation.Cos, rotation.HalfDim, scales),
            Sin = Scaled(rotation.Sin, rotation.HalfDim, scales),
        },
        Reordering reordering => reordering with
        {
            Scale = Scaled(reordering.Scale ?? [.. Enumerable.Repeat(1f, model.KeyValueHeads * scales.Length)], 1, scales),
        },
        // A rotation by nothing carries the magnitude.
        _ => Rotation.Of(new double[scales.Length], new Frequencies(new double[model.HeadDim / 2]), (token, _) => scales[token]),
    };

    /// <summary>Values of which <paramref name="width"/> in a row belong to a token, the tokens repeating.</summary>
    private static float[] Scaled(float[] values, int width, double[] scales) =>
        [.. values.Select((value, at) => (float)(value * scales[at / width % scales.Length]))];
}
