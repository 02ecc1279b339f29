using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Giraffe's power scaling: pair n's frequency times (1 - n/(D/2))^power, after a linear scale (arXiv 2308.10882 section 3.3;
/// abacusai/Long-Context).
/// </summary>
public sealed class GiraffePowerMethod(PositionModel model, double factor, double power) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Scaled(model, factor, power));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "giraffe-power", "Giraffe's power scaling: frequency times (1 - n/(D/2))^power.", "2308.10882",
        [CommonKeys.FactorOfOne("linear scale before it"), SpecKey.Number("power", 0, 64, 0.5, "exponent; 0 leaves the linear scale alone")],
        (part, model) => new GiraffePowerMethod(model, part.Number("factor"), part.Number("power")))
    {
        Vanilla = _ => "giraffe-power:factor=1,power=0",
    };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    /// <summary>Inverse frequencies over the factor, bent by the power.</summary>
    internal static double[] Scaled(PositionModel model, double factor, double power) =>
        [.. LinearMethod.Scaled(model, factor).Select((frequency, n) => frequency * Math.Pow(1 - (n / (model.HeadDim / 2.0)), power))];
}
