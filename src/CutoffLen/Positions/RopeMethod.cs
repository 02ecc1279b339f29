namespace CutoffLen.Positions;

/// <summary>Rotary position embedding as published: frequencies base^(-2n/D) (RoFormer, arXiv 2104.09864).</summary>
public sealed class RopeMethod(PositionModel model) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies());

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;
}
