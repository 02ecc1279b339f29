using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// LongRoPE (arXiv 2402.13753): each pair's frequency is divided by a searched factor. The short list holds up to the original
/// length, the long list beyond. Scores are scaled for the longest context at every length. This is Hugging Face's definition;
/// microsoft/LongRoPE always uses the long list, which is given as <c>short</c> too.
/// </summary>
public sealed class LongRopeMethod : FrequencyMethod
{
    private readonly Options options;
    private readonly Frequencies plain;

    private LongRopeMethod(PositionModel model, Options options) =>
        (this.options, plain) = (options, new Frequencies(model.InverseFrequencies()));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "longrope", "LongRoPE: one searched factor a pair, a list for short and one for long sequences.", "2402.13753",
        [
            CommonKeys.Factor, CommonKeys.Original,
            SpecKey.Numbers("long", 0.01, 1e6, "D/2 factors beyond the original length").Required(),
            SpecKey.Numbers("short", 0.01, 1e6, "D/2 factors up to the original length; 1 each when not given"),
            SpecKey.Number("attention_factor", 0.001, 1000, null, "factor on queries and keys; sqrt(1 + ln(factor) / ln(original)) when not given"),
            SpecKey.Flag("dynamic", false, "long factors moved from 1 in proportion to the length (microsoft/LongRoPE)"),
            SpecKey.Tokens("start", 1, null, "first tokens of a document that stay vanilla (the paper's n-hat)"),
        ],
        Create)
    {
        DependsOnLength = true,
        Example = model => $"longrope:factor=4,long={Ramp(model, 3)},short={Ramp(model, 0.04)}",
        Vanilla = model => $"longrope:factor=1,long={Ramp(model, 0)},short={Ramp(model, 0)}",
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => true;

    /// <inheritdoc/>
    public override (int Tokens, Frequencies Frequencies)? StartTokens => options.Start is { } start ? (start, plain) : null;

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length)
    {
        var factors = options.IsDynamic ? Interpolated(length) : length > options.Original ? options.Long : options.Short;
        return new([.. plain.InverseFrequencies.Select((frequency, n) => frequency / factors[n])], options.AttentionScale);
    }

    private static LongRopeMethod Create(SpecPart part, PositionModel model)
    {
        var half = model.HeadDim / 2;
        var longFactors = part.NumbersOrNull("long")!;
        var shortFactors = part.NumbersOrNull("short") ?? [.. Enumerable.Repeat(1.0, half)];
        foreach (var (name, factors) in new[] { ("long", longFactors), ("short", shortFactors) })
        {
            if (factors.Length != half)
            {
                throw new UserException($"longrope's {name} must have {half} factors, one for each pair of a head of dimension {model.HeadDim}, not {factors.Length}");
            }
        }

        var (factor, original) = (part.Number("factor"), part.Tokens("original"));
        if (part.Flag("dynamic") && factor <= 1)
        {
            throw new UserException($"'{part}': dynamic needs a factor above 1, the length at which the long factors hold");
        }

        var scale = part.NumberOrNull("attention_factor") ?? (factor <= 1 || original <= 1 ? 1 : Math.Sqrt(1 + (Math.Log(factor) / Math.Log(original))));
        return new LongRopeMethod(model, new Options(factor, original, longFactors, shortFactors, scale)
        {
            IsDynamic = part.Flag("dynamic"),
            Start = part.TokensOrNull("start"),
        });
    }

    private static string Ramp(PositionModel model, double rise)
    {
        var last = (model.HeadDim / 2) - 1;
        return string.Join('/', Enumerable.Range(0, last + 1).Select(n => SpecKey.Text(1 + (rise * n / last))));
    }

    // Linear in the length: 1 at the original length, the long factors at factor times it. Below the original length the
    // line would raise frequencies, so factors stay 1.
    private double[] Interpolated(int length)
    {
        var share = Math.Max(0, ((length / (double)options.Original) - 1) / (options.Factor - 1));
        return Array.ConvertAll(options.Long, factor => 1 + ((factor - 1) * share));
    }

    private sealed record Options(double Factor, int Original, double[] Long, double[] Short, double AttentionScale)
    {
        public bool IsDynamic { get; init; }

        public int? Start { get; init; }
    }
}
