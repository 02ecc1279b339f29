using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// NTK-aware scaling: the base becomes base * factor^(D/(D-2)). The slowest pair is interpolated by the factor, the fastest
/// not at all (bloc97, 2023; arXiv 2309.00071 section 3.1).
/// </summary>
public sealed class NtkMethod(PositionModel model, double factor) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies(BaseFor(model, factor)));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "ntk", "NTK-aware: base times factor^(D/(D-2)).", "2309.00071", [CommonKeys.Factor],
        (part, model) => new NtkMethod(model, part.Number("factor")));

    /// <summary>The base for a factor (alpha in some programs).</summary>
    public static double BaseFor(PositionModel model, double factor) =>
        model.Base * Math.Pow(factor, model.HeadDim / (model.HeadDim - 2.0));

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;
}

/// <summary>
/// Dynamic NTK: beyond the original length NTK-aware scaling by factor * length / original - (factor - 1), as in Hugging
/// Face's "dynamic" and jquesnelle/yarn (emozilla, 2023; arXiv 2309.00071 appendix B.1).
/// </summary>
public sealed class DynamicNtkMethod(PositionModel model, double factor, int original) : FrequencyMethod
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dynamic-ntk", "NTK-aware by factor * length / original - (factor - 1) once a sequence is longer.", "2309.00071",
        [CommonKeys.FactorOfOne("slope of the scale over the length; 1 scales by length / original"), CommonKeys.Original],
        (part, model) => new DynamicNtkMethod(model, part.Number("factor"), part.Tokens("original"))) { DependsOnLength = true };

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => length <= original
        ? new(model.InverseFrequencies())
        : new(model.InverseFrequencies(NtkMethod.BaseFor(model, (factor * length / original) - (factor - 1))));
}

/// <summary>
/// NTK-RoPE-mixed: pair n's frequency times exp(-a (n+1)^b) with a = ln(factor) / (D/2)^b (Su Jianlin, kexue.fm/archives/9706).
/// The post combines it with a log-n query scale: the modifier <c>logn</c>.
/// </summary>
public sealed class NtkMixedMethod(PositionModel model, double factor, double exponent) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Mixed(model, factor, exponent));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "ntk-mixed", "NTK-RoPE-mixed: factor spread over the pairs as exp(-a (n+1)^b).", "https://kexue.fm/archives/9706",
        [CommonKeys.Factor, SpecKey.Number("b", 0.01, 1, 0.75, "1 spreads evenly, less gives more to fast pairs")],
        (part, model) => new NtkMixedMethod(model, part.Number("factor"), part.Number("b")));

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    private static double[] Mixed(PositionModel model, double factor, double exponent)
    {
        var a = Math.Log(factor) / Math.Pow(model.HeadDim / 2.0, exponent);
        return [.. model.InverseFrequencies().Select((frequency, n) => frequency * Math.Exp(-a * Math.Pow(n + 1, exponent)))];
    }
}

/// <summary>
/// NTK-by-parts as in jquesnelle/yarn (LlamaPartNTKScaledRotaryEmbedding), with the authors' constants: slow pairs are
/// interpolated, fast pairs kept, and NTK-aware frequencies blended in between. It is neither YaRN's ramp nor the formula of
/// arXiv 2309.00071 section 3.2.
/// </summary>
public sealed class NtkPartsMethod(PositionModel model, NtkPartsMethod.Options options) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Blend(model, options));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "ntk-parts", "NTK-by-parts: interpolates slow pairs, keeps fast ones, NTK-aware between.", "2309.00071",
        [CommonKeys.Factor, CommonKeys.Original, NtkFactor, ExtrapolationFactor],
        (part, model) => new NtkPartsMethod(model, new Options(
            part.Number("factor"), part.Tokens("original"), part.Number("ntk_factor"), part.Number("extrapolation_factor"))));

    internal static SpecKey NtkFactor => SpecKey.Number("ntk_factor", 0, 1, 1, "share of the NTK-aware blend");

    internal static SpecKey ExtrapolationFactor => SpecKey.Number("extrapolation_factor", 0, 1, 1, "share of unscaled frequencies for fast pairs");

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    /// <summary>[D/2] the blended inverse frequencies.</summary>
    internal static double[] Blend(PositionModel model, Options options)
    {
        // Constants from the authors' experiments on LLaMA.
        var toLinear = LinearRamp.Of(model, options.Original, fast: 1.25, slow: 0.75);
        var toScaled = LinearRamp.Of(model, options.Original, fast: 16, slow: 2);
        var plain = model.InverseFrequencies();
        var linear = LinearMethod.Scaled(model, options.Factor);
        var ntk = model.InverseFrequencies(NtkMethod.BaseFor(model, options.Factor));
        return [.. plain.Select((frequency, n) =>
        {
            var scaled = LinearRamp.Between(linear[n], ntk[n], (1 - toLinear[n]) * options.NtkFactor);
            return LinearRamp.Between(scaled, frequency, (1 - toScaled[n]) * options.ExtrapolationFactor);
        })];
    }

    /// <summary>The values of its keys.</summary>
    /// <param name="Factor">How many times longer the context becomes.</param>
    /// <param name="Original">Tokens.</param>
    /// <param name="NtkFactor">Share of the NTK-aware blend, 0 to 1.</param>
    /// <param name="ExtrapolationFactor">Share of unscaled frequencies for fast pairs, 0 to 1.</param>
    public sealed record Options(double Factor, int Original, double NtkFactor, double ExtrapolationFactor);
}

/// <summary>
/// Dynamic NTK-by-parts: beyond the original length the factor is length / original (jquesnelle/yarn,
/// LlamaDynamicPartNTKScaledRotaryEmbedding).
/// </summary>
public sealed class DynamicNtkPartsMethod(PositionModel model, int original, double ntkFactor, double extrapolationFactor) : FrequencyMethod
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dynamic-ntk-parts", "NTK-by-parts by length / original once a sequence is longer.", "2309.00071",
        [CommonKeys.Original, NtkPartsMethod.NtkFactor, NtkPartsMethod.ExtrapolationFactor],
        (part, model) => new DynamicNtkPartsMethod(
            model, part.Tokens("original"), part.Number("ntk_factor"), part.Number("extrapolation_factor")))
    {
        DependsOnLength = true,
        Vanilla = _ => "dynamic-ntk-parts",
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => length <= original
        ? new(model.InverseFrequencies())
        : new(NtkPartsMethod.Blend(model, new(length / (double)original, original, ntkFactor, extrapolationFactor)));
}
