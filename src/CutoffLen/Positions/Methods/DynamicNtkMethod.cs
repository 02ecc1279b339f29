using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// NTK-aware scaling by as much as the sequence needs: beyond the original length by factor * length / original - (factor
/// - 1), as Hugging Face's "dynamic" and jquesnelle/yarn compute it (emozilla, 2023; arXiv 2309.00071 appendix B.1).
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
