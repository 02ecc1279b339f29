using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Position interpolation: positions, and so frequencies, divided by the factor (arXiv 2306.15595; kaiokendev's SuperHOT).
/// </summary>
public sealed class LinearMethod(PositionModel model, double factor) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Scaled(model, factor));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "linear", "Position interpolation (PI): positions divided by the factor.", "2306.15595", [CommonKeys.Factor],
        (part, model) => new LinearMethod(model, part.Number("factor"))) { Aliases = ["pi"] };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    /// <summary>Inverse frequencies over <paramref name="factor"/>.</summary>
    internal static double[] Scaled(PositionModel model, double factor) =>
        Array.ConvertAll(model.InverseFrequencies(), frequency => frequency / factor);
}
