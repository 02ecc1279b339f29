using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// NTK-aware scaling: the base grows to base * factor^(D/(D-2)), so that the slowest pair is interpolated by the factor and
/// the fastest not at all (bloc97, 2023; arXiv 2309.00071 section 3.1).
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
