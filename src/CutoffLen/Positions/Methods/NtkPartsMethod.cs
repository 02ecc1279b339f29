using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// NTK-by-parts as jquesnelle/yarn computes it (LlamaPartNTKScaledRotaryEmbedding): slow pairs are interpolated, fast ones
/// kept, and NTK-aware frequencies blended in between, with the authors' constants. It is neither YaRN's ramp nor the
/// formula of arXiv 2309.00071 section 3.2.
/// </summary>
public sealed class NtkPartsMethod(PositionModel model, NtkPartsMethod.Options options) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Blend(model, options));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "ntk-parts", "NTK-by-parts: interpolates slow pairs, keeps fast ones, NTK-aware between.", "2309.00071",
        [CommonKeys.Factor, CommonKeys.Original, NtkShare, ExtrapolationShare],
        (part, model) => new NtkPartsMethod(model, new Options(
            part.Number("factor"), part.Tokens("original"), part.Number("ntk_factor"), part.Number("extrapolation_factor"))));

    internal static SpecKey NtkShare => SpecKey.Number("ntk_factor", 0, 1, 1, "share of the NTK-aware blend");

    internal static SpecKey ExtrapolationShare => SpecKey.Number("extrapolation_factor", 0, 1, 1, "share of unscaled frequencies for fast pairs");

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    /// <summary>The blended inverse frequencies.</summary>
    internal static double[] Blend(PositionModel model, Options options)
    {
        // Found by the authors' experiments on LLaMA.
        var toLinear = RotationRamp.Of(model, options.Original, fast: 1.25, slow: 0.75);
        var toScaled = RotationRamp.Of(model, options.Original, fast: 16, slow: 2);
        var plain = model.InverseFrequencies();
        var linear = LinearMethod.Scaled(model, options.Factor);
        var ntk = model.InverseFrequencies(NtkMethod.BaseFor(model, options.Factor));
        return [.. plain.Select((frequency, n) =>
        {
            var scaled = RotationRamp.Between(linear[n], ntk[n], (1 - toLinear[n]) * options.NtkFactor);
            return RotationRamp.Between(scaled, frequency, (1 - toScaled[n]) * options.ExtrapolationFactor);
        })];
    }

    /// <summary>Its keys.</summary>
    /// <param name="Factor">How many times longer the context becomes.</param>
    /// <param name="Original">Tokens.</param>
    /// <param name="NtkFactor">Share of the NTK-aware blend, 0 to 1.</param>
    /// <param name="ExtrapolationFactor">Share of unscaled frequencies for fast pairs, 0 to 1.</param>
    public sealed record Options(double Factor, int Original, double NtkFactor, double ExtrapolationFactor);
}
