using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Position interpolation by as much as the sequence needs: length / original beyond the original length
/// (jquesnelle/yarn, LlamaDynamicScaledRotaryEmbedding without ntk).
/// </summary>
public sealed class DynamicLinearMethod(PositionModel model, int original) : FrequencyMethod
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dynamic-linear", "Position interpolation by length / original once a sequence is longer.", "2306.15595",
        [CommonKeys.Original],
        (part, model) => new DynamicLinearMethod(model, part.Tokens("original")))
    {
        DependsOnLength = true,
        Vanilla = _ => "dynamic-linear",
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) =>
        new(LinearMethod.Scaled(model, Math.Max(1, length / (double)original)));
}
