using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>Adjusted base frequency: RoPE with another base (Effective Long-Context Scaling, arXiv 2309.16039).</summary>
public sealed class BaseMethod(PositionModel model, double rotaryBase) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies(rotaryBase));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "abf", "Adjusted base frequency: RoPE with a larger base.", "2309.16039",
        [SpecKey.Number("base", 2, 1e12, null, "the new rope_theta").Required()],
        (part, model) => new BaseMethod(model, part.Number("base")))
    {
        Example = _ => "abf:base=500000",
        Vanilla = model => $"abf:base={SpecKey.Text(model.Base)}",
    };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;
}
