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

    /// <summary>[D/2] inverse frequencies over the factor, times (1 - n/(D/2))^power.</summary>
    internal static double[] Scaled(PositionModel model, double factor, double power) =>
        [.. LinearMethod.Scaled(model, factor).Select((frequency, n) => frequency * Math.Pow(1 - (n / (model.HeadDim / 2.0)), power))];
}

/// <summary>
/// Giraffe's truncated basis (arXiv 2308.10882 section 3.4; constants of abacusai/Long-Context). Pairs with wavelengths above
/// the cutoff get a wavelength of 16 cutoffs. Those with wavelengths above 8 cutoffs get frequency 0.
/// </summary>
public sealed class GiraffeTruncatedMethod(PositionModel model, double factor, double power, int cutoff) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Array.ConvertAll(
        GiraffePowerMethod.Scaled(model, factor, power),
        frequency => Truncated(frequency, 2 * Math.PI / cutoff)));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "giraffe-truncated", "Giraffe's truncated basis: slow pairs get one very slow frequency, the slowest none.", "2308.10882",
        [
            CommonKeys.FactorOfOne("linear scale before it"),
            SpecKey.Number("power", 0, 64, 0, "power scaling before it"),
            SpecKey.Tokens("cutoff", 1, null, "wavelength above which a pair counts as slow").DefaultsTo("the native length", (_, model, _) => model.NativeLength),
        ],
        (part, model) => new GiraffeTruncatedMethod(model, part.Number("factor"), part.Number("power"), part.Tokens("cutoff")))
    {
        Vanilla = null,
        Exceptions = new Dictionary<PositionProperty, string>
        {
            [PositionProperty.VanillaAtFactorOne] = "it replaces the slow frequencies whatever the factor",
        },
    };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    private static double Truncated(double frequency, double cutoff) =>
        frequency >= cutoff ? frequency : frequency >= cutoff / 8 ? cutoff / 16 : 0;
}
