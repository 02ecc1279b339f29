using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>Rotary position embedding as published: frequencies base^(-2n/D) (RoFormer, arXiv 2104.09864).</summary>
public sealed class RopeMethod(PositionModel model) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies());

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "rope", "Vanilla rotary embedding, whatever the checkpoint says of scaling.", "2104.09864", [],
        (_, model) => new RopeMethod(model)) { Vanilla = _ => "rope" };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;
}
