using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>Multiplies each query by a factor of its position within the document; encodings of keys and ranges stay.</summary>
public abstract class QueryScaleMethod(PositionMethod inner, PositionModel model) : PositionMethod
{
    /// <inheritdoc/>
    public override bool DependsOnLength => inner.DependsOnLength;

    /// <inheritdoc/>
    public override bool SameAt(int length, int other) => inner.SameAt(length, other);

    /// <summary>What such a modifier's tests leave out.</summary>
    protected static IReadOnlyDictionary<PositionProperty, string> LateQueriesGrow { get; } = new Dictionary<PositionProperty, string>
    {
        [PositionProperty.ConstantNorm] = "late queries grow",
        [PositionProperty.DistanceOnly] = "late queries grow",
    };

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => inner.RotaryFrequencies(length);

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var scales = Array.ConvertAll(positions.WithinDocument(), Scale);
        return [.. inner.Bands(positions).Select(band => band with { Queries = Scaled(band.Queries, scales) })];
    }

    /// <summary>The factor of the query at a position, counted from 0.</summary>
    protected abstract double Scale(int position);

    private PositionEncoding Scaled(PositionEncoding queries, double[] scales) => queries switch
    {
        Rotation rotation => Scaled(rotation, scales),
        RotationByHead rotation => rotation with { Chosen = Scaled(rotation.Chosen, scales), Others = Scaled(rotation.Others, scales) },
        Reordering reordering => reordering with
        {
            Scale = Scaled(reordering.Scale ?? [.. Enumerable.Repeat(1f, model.KeyValueHeads * scales.Length)], 1, scales),
        },
        // A rotation by angle 0 carries the magnitude.
        _ => Rotation.Of(new double[scales.Length], new Frequencies(new double[model.HeadDim / 2]), (token, _) => scales[token]),
    };

    private static Rotation Scaled(Rotation rotation, double[] scales) => rotation with
    {
        Cos = Scaled(rotation.Cos, rotation.HalfDim, scales),
        Sin = Scaled(rotation.Sin, rotation.HalfDim, scales),
    };

    /// <summary>Scales values, [..., T, <paramref name="width"/>] row-major, by the scale of their token.</summary>
    private static float[] Scaled(float[] values, int width, double[] scales) =>
        [.. values.Select((value, at) => (float)(value * scales[at / width % scales.Length]))];
}

/// <summary>
/// Log-n scaling: the query at position i times max(1, ln(i + 1) / ln(original)). It keeps the entropy of attention as the
/// number of keys grows (Su Jianlin, kexue.fm/archives/8823; used with ReRoPE and NTK-mixed).
/// </summary>
public sealed class LogNMethod(PositionMethod inner, PositionModel model, int original) : QueryScaleMethod(inner, model)
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
        EncodesWholeHeads = true,
        Exceptions = LateQueriesGrow,
    };

    /// <inheritdoc/>
    protected override double Scale(int position) => Math.Max(1, Math.Log(position + 1) / Math.Log(original));
}

/// <summary>
/// The temperature of attention grows in steps with the position: the query at position i times
/// 1 + beta ln(1 + floor(i / original)). Ministral 3 has this form (<c>llama_4_scaling_beta</c>; transformers,
/// models/ministral3/modeling_ministral3.py). Llama 4 counts positions from 1: floor((i + 1) / original), with original
/// <c>floor_scale</c> and beta <c>attn_scale</c> (models/llama4/modeling_llama4.py, on its layers without RoPE).
/// </summary>
public sealed class TemperatureMethod(PositionMethod inner, PositionModel model, double beta, int original, int firstPosition) : QueryScaleMethod(inner, model)
{
    /// <summary>Positions counted from 0.</summary>
    internal const string Ministral3 = "ministral3";

    private const string Llama4 = "llama4";
    private const int Llama4FloorScale = 8192;

    /// <summary>The registry's line.</summary>
    public static ModifierEntry Entry { get; } = new(
        "temperature", "Scales the query at position i by 1 + beta ln(1 + floor(i / original)).", "https://huggingface.co/docs/transformers/model_doc/ministral3",
        [
            SpecKey.Word("form", "positions are counted from 0 (ministral3) or from 1 (llama4)", Ministral3, Llama4),
            SpecKey.Number("beta", 0, 10, 0.1, "llama_4_scaling_beta; Llama 4's attn_scale"),
            SpecKey.Tokens("original", 1, null, "tokens of a step; Llama 4's floor_scale")
                .DefaultsTo("the native length; 8192 in llama4's form", (part, model, _) => part.Word("form") == Llama4 ? Llama4FloorScale : model.NativeLength),
        ],
        (part, model, inner) => new TemperatureMethod(inner, model, part.Number("beta"), part.Tokens("original"), part.Word("form") == Llama4 ? 1 : 0))
    {
        AltersAttention = true,
        EncodesWholeHeads = true,
        Exceptions = LateQueriesGrow,
    };

    /// <inheritdoc/>
    protected override double Scale(int position) => 1 + (beta * Math.Log(1 + ((position + firstPosition) / original)));
}
