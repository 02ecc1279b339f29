using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>Vanilla rotary position embedding: frequencies base^(-2n/D) (RoFormer, arXiv 2104.09864).</summary>
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

/// <summary>Adjusted base frequency: RoPE with another base (Effective Long-Context Scaling, arXiv 2309.16039).</summary>
public sealed class AbfMethod(PositionModel model, double rotaryBase) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies(rotaryBase));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "abf", "Adjusted base frequency: RoPE with a larger base.", "2309.16039",
        [SpecKey.Number("base", 2, 1e12, null, "the new rope_theta").Required()],
        (part, model) => new AbfMethod(model, part.Number("base")))
    {
        Example = _ => "abf:base=500000",
        Vanilla = model => $"abf:base={SpecKey.Text(model.Base)}",
    };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;
}

/// <summary>Position interpolation: positions, and therefore frequencies, over the factor (arXiv 2306.15595; kaiokendev's SuperHOT).</summary>
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

/// <summary>
/// Dynamic position interpolation: beyond the original length the factor is length / original (jquesnelle/yarn,
/// LlamaDynamicScaledRotaryEmbedding without ntk).
/// </summary>
public sealed class DynamicLinearMethod(PositionModel model, int original) : FrequencyMethod
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dynamic-linear", "Position interpolation by length / original once a sequence is longer.", "2306.15595",
        [CommonKeys.Original],
        (part, model) => new DynamicLinearMethod(model, part.Tokens("original")))
    {
        DependsOnLength = true,
        Vanilla = _ => "dynamic-linear",
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) =>
        new(LinearMethod.Scaled(model, Math.Max(1, length / (double)original)));
}

/// <summary>
/// Llama 3.1's scaling (The Llama 3 Herd of Models, arXiv 2407.21783, and its code). Wavelengths above original /
/// low_freq_factor are stretched by the factor, those below original / high_freq_factor are kept. Between, the blend is linear
/// in original / wavelength.
/// </summary>
public sealed class Llama3Method(PositionModel model, double factor, int original, double lowTurns, double highTurns) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Array.ConvertAll(
        model.InverseFrequencies(),
        frequency =>
        {
            var turns = original * frequency / (2 * Math.PI);
            return LinearRamp.Between(frequency / factor, frequency, Math.Clamp((turns - lowTurns) / (highTurns - lowTurns), 0, 1));
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

/// <summary>p-RoPE: only the fastest floor(p D/2) pairs rotate (Round and Round We Go!, arXiv 2410.06205 section 6).</summary>
public sealed class PRopeMethod(PositionModel model, double fraction) : FrequencyMethod
{
    private readonly Frequencies frequencies = new([.. model.InverseFrequencies()
        .Select((frequency, n) => n < Math.Floor(fraction * model.HeadDim / 2) ? frequency : 0)]);

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "p-rope", "p-RoPE: the slowest pairs of each head do not rotate.", "2410.06205",
        [SpecKey.Number("fraction", 0, 1, 0.75, "share of the pairs, the fastest, that rotate")],
        (part, model) => new PRopeMethod(model, part.Number("fraction")))
    {
        Vanilla = _ => "p-rope:fraction=1",
    };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;
}

/// <summary>
/// HoPE, high-frequency rotary position encoding (arXiv 2410.21216): p-RoPE with the fraction set by the training length.
/// Pairs whose wavelength 2 pi / frequency is longer than that length never complete a turn in training; they do not rotate.
/// No code of the authors was found, and only this definition of the paper was read.
/// </summary>
public sealed class HopeMethod(PositionModel model, int original) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Array.ConvertAll(
        model.InverseFrequencies(), frequency => 2 * Math.PI / frequency <= original ? frequency : 0));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "hope", "HoPE: pairs that complete no turn within the original length do not rotate.", "2410.21216", [CommonKeys.Original],
        (part, model) => new HopeMethod(model, part.Tokens("original")))
    {
        Vanilla = _ => $"hope:original={SpecKey.LongestTokens}", // longer than any pair's wavelength
    };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;
}
