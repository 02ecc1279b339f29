using CutoffLen.Positions.Methods;

namespace CutoffLen.Positions.Theory;

/// <summary>How far a longer context disturbs the distributions of the rotary angles (arXiv 2410.01490).</summary>
/// <param name="Mean">Nats, averaged over the pairs: the figure of the paper's table 3.</param>
/// <param name="ByPair">[D/2] nats; see <see cref="RotaryAngles.Disturbance"/>.</param>
public sealed record AngleDisturbance(double Mean, IReadOnlyList<double> ByPair)
{
    /// <summary>The disturbance by frequencies at a length in tokens, against vanilla RoPE at the native length.</summary>
    public static AngleDisturbance Of(Frequencies frequencies, int length, PositionModel model)
    {
        var byPair = RotaryAngles.Disturbance(frequencies.InverseFrequencies, length, model.InverseFrequencies(), model.NativeLength);
        return new AngleDisturbance(byPair.Average(), byPair);
    }
}
