using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// DPRoPE (Extending Context Window from a Distributional Perspective, arXiv 2410.01490, equation 9): a pair is interpolated,
/// theta / factor, where extrapolating it disturbs the distribution of its angles more than interpolating it by a threshold t;
/// else it is kept. See <see cref="RotaryAngles"/>. The authors' code has no threshold, and without one the disturbance is that
/// of the paper's table 3. The paper chooses t so that 80 of LLaMA2's 128 dimensions are interpolated at 8K and 64 at 16K.
/// </summary>
public sealed class RotaryAngleMethod(PositionModel model, double factor, int original, double threshold) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Extended(model, factor, original, threshold));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dprope", "DPRoPE: interpolates the pairs whose angles extrapolation disturbs more, keeps the others.", "2410.01490",
        [
            CommonKeys.Factor, CommonKeys.Original,
            SpecKey.Number("threshold", 0, 100, 0, "by how many nats more"),
        ],
        Create);

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    private static RotaryAngleMethod Create(SpecPart part, PositionModel model)
    {
        var (factor, original) = (part.Number("factor"), part.Tokens("original"));
        return factor * original <= SpecKey.LongestTokens
            ? new RotaryAngleMethod(model, factor, original, part.Number("threshold"))
            : throw new UserException($"'{part}': factor * original is more than {SpecKey.LongestTokens} tokens");
    }

    private static double[] Extended(PositionModel model, double factor, int original, double threshold)
    {
        var (kept, interpolated) = (model.InverseFrequencies(), LinearMethod.Scaled(model, factor));
        var length = (int)Math.Round(original * factor);
        var extrapolating = RotaryAngles.Disturbance(kept, length, kept, original);
        var interpolating = RotaryAngles.Disturbance(interpolated, length, kept, original);
        return [.. kept.Select((frequency, n) => extrapolating[n] > interpolating[n] + threshold ? interpolated[n] : frequency)];
    }
}
