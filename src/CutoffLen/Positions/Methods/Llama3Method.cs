using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Llama 3.1's scaling: wavelengths above original / low_freq_factor are stretched by the factor, those below original /
/// high_freq_factor kept, linear in original / wavelength between (The Llama 3 Herd of Models, arXiv 2407.21783; its code).
/// </summary>
public sealed class Llama3Method(PositionModel model, double factor, int original, double lowTurns, double highTurns) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Array.ConvertAll(
        model.InverseFrequencies(),
        frequency =>
        {
            var turns = original * frequency / (2 * Math.PI);
            return RotationRamp.Between(frequency / factor, frequency, Math.Clamp((turns - lowTurns) / (highTurns - lowTurns), 0, 1));
        }));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "llama3", "Llama 3.1: stretches long wavelengths, keeps short ones, blends between.", "2407.21783",
        [
            CommonKeys.Factor, CommonKeys.Original,
            SpecKey.Number("low_freq_factor", 0.001, 65536, 1, "turns in the original length up to which a pair is stretched"),
            SpecKey.Number("high_freq_factor", 0.001, 65536, 4, "turns from which a pair is kept"),
        ],
        Create);

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    private static Llama3Method Create(SpecPart part, PositionModel model)
    {
        var (low, high) = (part.Number("low_freq_factor"), part.Number("high_freq_factor"));
        return high > low
            ? new Llama3Method(model, part.Number("factor"), part.Tokens("original"), low, high)
            : throw new UserException($"'{part}': high_freq_factor ({SpecKey.Text(high)}) must be larger than low_freq_factor ({SpecKey.Text(low)})");
    }
}
