using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// YaRN (arXiv 2309.00071). Pairs that turn at most beta_slow times within the original length are interpolated, those that
/// turn at least beta_fast times are kept. Scores are scaled by attention_factor squared. The ramp between is linear in the
/// pair's index, as in all published code; in the paper it is linear in the pair's turns.
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
            NtkPartsMethod.ExtrapolationFactor,
        ],
        (part, model) => new YarnMethod(model, Read(part, part.Number("factor"))));

    internal static SpecKey BetaFast => SpecKey.Number("beta_fast", 0.001, 65536, 32, "turns in the original length from which a pair is kept");

    internal static SpecKey BetaSlow => SpecKey.Number("beta_slow", 0.001, 65536, 1, "turns up to which a pair is interpolated");

    internal static SpecKey AttentionFactor =>
        SpecKey.Number("attention_factor", 0.001, 1000, null, "factor on queries and keys; 0.1 ln(factor) + 1 when not given");

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    /// <summary>The values of the keys that YaRN and dynamic YaRN share.</summary>
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
            AttentionScale = scale ?? (isPlain ? RatioOfMscales(part, factor) : null),
            Truncate = !isPlain || part.Flag("truncate"),
            ExtrapolationFactor = part.Number("extrapolation_factor"),
        };
    }

    /// <summary>Frequencies and attention scale.</summary>
    internal static Frequencies Scaled(PositionModel model, Options options)
    {
        var ramp = LinearRamp.Of(model, options.Original, options.BetaFast, options.BetaSlow, options.Truncate);
        var linear = LinearMethod.Scaled(model, options.Factor);
        var blended = model.InverseFrequencies()
            .Select((frequency, n) => LinearRamp.Between(linear[n], frequency, (1 - ramp[n]) * options.ExtrapolationFactor));
        return new Frequencies([.. blended], options.AttentionScale ?? ScaleFor(options.Factor, 1));
    }

    /// <summary>0.1 m ln(factor) + 1 (arXiv 2309.00071 equation 22; m is DeepSeek's mscale).</summary>
    private static double ScaleFor(double factor, double mscale) => factor <= 1 ? 1 : (0.1 * mscale * Math.Log(factor)) + 1;

    // As in Hugging Face: both keys give their ratio, one alone is ignored.
    private static double? RatioOfMscales(SpecPart part, double factor) =>
        part.NumberOrNull("mscale") is { } mscale && part.NumberOrNull("mscale_all_dim") is { } all
            ? ScaleFor(factor, mscale) / ScaleFor(factor, all)
            : null;

    /// <summary>The parameters of the ramp and the blend.</summary>
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

/// <summary>
/// Dynamic YaRN (jquesnelle/yarn, LlamaDynamicYaRNScaledRotaryEmbedding). Up to <c>max</c> tokens it is vanilla RoPE, or YaRN
/// by max / original for a model fine-tuned that way (<c>finetuned</c>). Beyond, it is YaRN by length / original. The same
/// authors' modeling_llama_yarn.py divides by max instead: <c>relative_to=max</c>.
/// </summary>
public sealed class DynamicYarnMethod(
    PositionModel model, YarnMethod.Options options, int max, bool isFinetuned, bool isRelativeToMax) : FrequencyMethod
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dynamic-yarn", "YaRN by length / original once a sequence is longer.", "2309.00071",
        [
            CommonKeys.Original,
            SpecKey.Tokens("max", 1, null, "up to this length the scale does not change").DefaultsTo("original", (part, _, _) => part.Tokens("original")),
            SpecKey.Flag("finetuned", false, "whether the model was fine-tuned with YaRN by max / original"),
            SpecKey.Word("relative_to", "what the length is divided by", "original", "max"),
            YarnMethod.BetaFast, YarnMethod.BetaSlow, YarnMethod.AttentionFactor, NtkPartsMethod.ExtrapolationFactor,
        ],
        (part, model) => new DynamicYarnMethod(
            model, YarnMethod.Read(part, 1), part.Tokens("max"), part.Flag("finetuned"), part.Word("relative_to") == "max"))
    {
        DependsOnLength = true,
        Vanilla = _ => "dynamic-yarn",
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length)
    {
        if (length <= max && !isFinetuned)
        {
            return new(model.InverseFrequencies());
        }

        var factor = length <= max ? max / (double)options.Original : length / (double)(isRelativeToMax ? max : options.Original);
        return YarnMethod.Scaled(model, options with { Factor = factor });
    }
}

/// <summary>
/// The linear ramp of YaRN and NTK-by-parts over the pairs n of a head: the share to which each is interpolated. It rises from
/// the pair that turns <c>fast</c> times within the original length to the one that turns <c>slow</c> times.
/// </summary>
internal static class LinearRamp
{
    /// <summary>[D/2] 0 for pairs that turn at least <paramref name="fast"/> times, 1 for those that turn at most <paramref name="slow"/> times.</summary>
    /// <param name="model">Head dimension and base.</param>
    /// <param name="original">Tokens in which turns are counted.</param>
    /// <param name="fast">Turns at the lower end of the ramp.</param>
    /// <param name="slow">Turns at its upper end.</param>
    /// <param name="truncate">Whether both ends are rounded outwards to whole pairs.</param>
    public static double[] Of(PositionModel model, int original, double fast, double slow, bool truncate = true)
    {
        var (low, high) = (PairOf(model, original, fast), PairOf(model, original, slow));
        (low, high) = truncate ? (Math.Floor(low), Math.Ceiling(high)) : (low, high);
        (low, high) = (Math.Max(low, 0), Math.Min(high, model.HeadDim - 1));
        // As in the authors' code, against a division by zero.
        high = low == high ? high + 0.001 : high;
        return [.. Enumerable.Range(0, model.HeadDim / 2).Select(n => Math.Clamp((n - low) / (high - low), 0, 1))];
    }

    /// <summary>Linear interpolation by a share of 0 to 1; exact where both values are equal.</summary>
    public static double Between(double from, double to, double share) => from + ((to - from) * share);

    /// <summary>The pair, as a real number, that turns so many times within the original length.</summary>
    private static double PairOf(PositionModel model, int original, double turns) =>
        model.HeadDim * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(model.Base));
}
