using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// NTK-by-parts by as much as the sequence needs (jquesnelle/yarn, LlamaDynamicPartNTKScaledRotaryEmbedding): beyond the
/// original length the factor is length / original.
/// </summary>
public sealed class DynamicNtkPartsMethod(PositionModel model, int original, double ntkShare, double extrapolationShare) : FrequencyMethod
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dynamic-ntk-parts", "NTK-by-parts by length / original once a sequence is longer.", "2309.00071",
        [CommonKeys.Original, NtkPartsMethod.NtkShare, NtkPartsMethod.ExtrapolationShare],
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
        : new(NtkPartsMethod.Blend(model, new(length / (double)original, original, ntkShare, extrapolationShare)));
}
