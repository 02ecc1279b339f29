using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Giraffe's truncated basis: frequencies whose wavelength is above the cutoff become one of sixteen cutoffs' wavelength,
/// those above eight cutoffs become zero (arXiv 2308.10882 section 3.4; abacusai/Long-Context has the constants).
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
        Exceptions = new Dictionary<PositionTheory, string>
        {
            [PositionTheory.VanillaAtFactorOne] = "it replaces the slow frequencies whatever the factor",
        },
    };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    private static double Truncated(double frequency, double cutoff) =>
        frequency >= cutoff ? frequency : frequency >= cutoff / 8 ? cutoff / 16 : 0;
}
