using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// YaRN (arXiv 2309.00071): pairs that turn at most beta_slow times within the original length are interpolated, those that
/// turn at least beta_fast times are kept, and scores are scaled by attention_factor squared. As in all published code the
/// ramp between is linear in the pair's index, not in its turns as in the paper.
/// </summary>
public sealed class YarnMethod(PositionModel model, YarnMethod.Options options) : FrequencyMethod
{
    private readonly Frequencies frequencies = Scaled(model, options);

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "yarn", "YaRN: interpolates slow pairs, keeps fast ones, scales scores.", "2309.00071",
        [
            CommonKeys.Factor, CommonKeys.Original, BetaFast, BetaSlow, AttentionFactor,
            SpecKey.Number("mscale", 0.001, 1000, null, "with mscale_all_dim: their ratio is the attention factor"),
            SpecKey.Number("mscale_all_dim", 0.001, 1000, null, "see mscale; one of the two alone does nothing"),
            SpecKey.Flag("truncate", true, "whether the ramp begins and ends at whole pairs"),
            NtkPartsMethod.ExtrapolationShare,
        ],
        (part, model) => new YarnMethod(model, Read(part, part.Number("factor"))));

    internal static SpecKey BetaFast => SpecKey.Number("beta_fast", 0.001, 65536, 32, "turns in the original length from which a pair is kept");

    internal static SpecKey BetaSlow => SpecKey.Number("beta_slow", 0.001, 65536, 1, "turns up to which a pair is interpolated");

    internal static SpecKey AttentionFactor =>
        SpecKey.Number("attention_factor", 0.001, 1000, null, "factor on queries and keys; 0.1 ln(factor) + 1 when not given");

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    /// <summary>The keys that YaRN and dynamic YaRN share.</summary>
    internal static Options Read(SpecPart part, double factor)
    {
        var (fast, slow) = (part.Number("beta_fast"), part.Number("beta_slow"));
        if (fast <= slow)
        {
            throw new UserException($"'{part}': beta_fast ({SpecKey.Text(fast)}) must be larger than beta_slow ({SpecKey.Text(slow)})");
        }

        var scale = part.NumberOrNull("attention_factor");
        var isPlain = part.Entry == Entry;
        return new Options(factor, part.Tokens("original"), fast, slow)
        {
            AttentionScale = scale ?? (isPlain ? RatioOfScales(part, factor) : null),
            Truncate = !isPlain || part.Flag("truncate"),
            ExtrapolationFactor = part.Number("extrapolation_factor"),
        };
    }

    /// <summary>Frequencies and attention scale.</summary>
    internal static Frequencies Scaled(PositionModel model, Options options)
    {
        var ramp = RotationRamp.Of(model, options.Original, options.BetaFast, options.BetaSlow, options.Truncate);
        var linear = LinearMethod.Scaled(model, options.Factor);
        var blended = model.InverseFrequencies()
            .Select((frequency, n) => RotationRamp.Between(linear[n], frequency, (1 - ramp[n]) * options.ExtrapolationFactor));
        return new Frequencies([.. blended], options.AttentionScale ?? ScaleFor(options.Factor, 1));
    }

    /// <summary>0.1 m ln(factor) + 1 (arXiv 2309.00071 equation 22; m is DeepSeek's mscale).</summary>
    private static double ScaleFor(double factor, double mscale) => factor <= 1 ? 1 : (0.1 * mscale * Math.Log(factor)) + 1;

    // Hugging Face's reading: both keys give their ratio, one alone is ignored.
    private static double? RatioOfScales(SpecPart part, double factor) =>
        part.NumberOrNull("mscale") is { } mscale && part.NumberOrNull("mscale_all_dim") is { } all
            ? ScaleFor(factor, mscale) / ScaleFor(factor, all)
            : null;

    /// <summary>What the ramp and the blend take.</summary>
    /// <param name="Factor">How many times longer the context becomes.</param>
    /// <param name="Original">Tokens.</param>
    /// <param name="BetaFast">Turns.</param>
    /// <param name="BetaSlow">Turns.</param>
    public sealed record Options(double Factor, int Original, double BetaFast, double BetaSlow)
    {
        /// <summary>Null for 0.1 ln(factor) + 1.</summary>
        public double? AttentionScale { get; init; }

        /// <summary>Whether the ramp begins and ends at whole pairs.</summary>
        public bool Truncate { get; init; } = true;

        /// <summary>Share of unscaled frequencies for fast pairs, 0 to 1.</summary>
        public double ExtrapolationFactor { get; init; } = 1;
    }
}
