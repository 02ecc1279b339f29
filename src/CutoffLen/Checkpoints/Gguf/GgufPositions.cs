using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>
/// A position method as llama.cpp has it. Pair n of a head turns by <c>base^(-2n/D) / factor / factors[n]</c> a token, and rotated queries and keys are
/// multiplied by the attention factor (ggml_rope_ext). With scaling type yarn llama.cpp blends frequencies itself, by beta_fast 32 and beta_slow 1
/// whatever the file says, and multiplies by 0.1 ln(factor) + 1 too. So YaRN in any other form, and every other set of frequencies, is a list of factors.
/// </summary>
internal sealed record GgufPositions
{
    private const int WithoutRopeEvery = 4;

    // Turns a pair so slowly that it stands still in float32; an infinite factor would fail llama.cpp's check of tensors.
    private const double StandsStill = 1e30;

    private const string Yarn = "yarn";
    /// <summary>Scaling by a list of factors for short contexts and one for long.</summary>
    public const string LongRope = "longrope";

    /// <summary>llama.cpp's names of the lists of factors.</summary>
    public const string FrequencyFactors = "rope_freqs", LongFactors = "rope_factors_long", ShortFactors = "rope_factors_short";

    private static readonly string[] Expressible =
    [
        "rope", "abf", "linear", "ntk", "ntk-parts", "ntk-mixed", "yarn", "longrope", "llama3", "giraffe-power", "giraffe-truncated", "p-rope", "hope", "nope", "drope", "dprope",
    ];

    /// <summary>Base of the frequencies.</summary>
    public required double Base { get; init; }

    /// <summary>linear, yarn or longrope; null for none.</summary>
    public string? Scaling { get; init; }

    /// <summary>All frequencies are divided by it; for yarn the factor of the formula.</summary>
    public double Factor { get; init; } = 1;

    /// <summary>What rope.scaling.attn_factor must be.</summary>
    public double AttentionFactor { get; init; } = 1;

    /// <summary>Tokens of the training before any extension, where llama.cpp computes with them.</summary>
    public int? Original { get; init; }

    /// <summary>[D/2] lists by which frequencies are divided, as tensors.</summary>
    public IReadOnlyList<(string Tensor, double[] Values)> Factors { get; init; } = [];

    /// <summary>Ministral 3's beta: queries grow with the position.</summary>
    public double? Temperature { get; init; }

    /// <summary>Whether every fourth layer has no RoPE, as in SmolLM3.</summary>
    public bool SkipsEveryFourthLayer { get; init; }

    /// <summary>In words.</summary>
    public string Description => string.Join(", ", new[]
    {
        FormattableString.Invariant($"freq_base {Base:g7}"),
        Scaling is null ? null : Scaling == LongRope ? "scaling longrope" : FormattableString.Invariant($"scaling {Scaling} by {Factor:g6}"),
        AttentionFactor == 1 ? null : FormattableString.Invariant($"attn_factor {AttentionFactor:g6}"),
        Factors.Count == 0 ? null : string.Join(", ", Factors.Select(list => list.Tensor)),
        Temperature is null ? null : FormattableString.Invariant($"temperature_scale {Temperature:g6}"),
        SkipsEveryFourthLayer ? "no RoPE in every fourth layer" : null,
    }.OfType<string>());

    /// <summary>Expresses a method.</summary>
    /// <exception cref="UserException">llama.cpp has nothing that does the same.</exception>
    public static GgufPositions Of(PositionSetup setup)
    {
        var (spec, model) = (setup.Spec, setup.Model);
        var temperature = spec.Modifiers.FirstOrDefault(part => part.Entry == TemperatureMethod.Entry && part.Word("form") == TemperatureMethod.Ministral3);
        var plain = new PositionSpec(spec.Method, [.. spec.Modifiers.Where(part => part != temperature)]);
        if (!(spec.Layers.Count == 0 || SkipsFourth(setup)) || new PositionSetup(plain, model, setup.TargetLength).Layers.OfEveryLayer is not FrequencyMethod { StartTokens: null } method)
        {
            throw Refused(spec);
        }

        var found = plain.Modifiers.Count > 0 ? null
            : plain.Method.Entry == YarnMethod.Entry ? OfYarn(plain.Method, model, method)
            : plain.Method.Entry == LongRopeMethod.Entry && !plain.Method.Flag("dynamic") ? OfLongRope(plain.Method, model, method)
            : null;
        found ??= method.DependsOnLength ? throw Refused(spec) : OfFrequencies(method.Frequencies(setup.TargetLength), model);
        var original = found.Original ?? temperature?.Tokens("original");
        return temperature is null || original == temperature.Tokens("original")
            ? found with { Original = original, Temperature = temperature?.Number("beta"), SkipsEveryFourthLayer = spec.Layers.Count > 0 }
            : throw Refused(spec);
    }

    /// <summary>Adds the keys of an architecture.</summary>
    public void AddTo(GgufMetadata metadata, string architecture)
    {
        metadata.Add($"{architecture}.rope.freq_base", (float)Base);
        if (Scaling is not null)
        {
            metadata.Add($"{architecture}.rope.scaling.type", Scaling);
        }

        if (Factor != 1)
        {
            metadata.Add($"{architecture}.rope.scaling.factor", (float)Factor);
        }

        if ((float)AttentionFactor != 1)
        {
            metadata.Add($"{architecture}.rope.scaling.attn_factor", (float)AttentionFactor);
        }

        if (Original is { } original)
        {
            metadata.Add($"{architecture}.rope.scaling.original_context_length", original);
        }

        if (Temperature is { } beta)
        {
            metadata.Add($"{architecture}.attention.temperature_scale", (float)beta);
        }
    }

    private static bool SkipsFourth(PositionSetup setup)
    {
        var others = setup.Spec.Layers;
        return others.All(layers => layers.Spec is { Method.Entry: var entry, Modifiers.Count: 0 } && entry == NopeMethod.Entry)
            && Enumerable.Range(0, setup.Model.Layers).All(layer => others.Any(layers => layers.Layers.Contains(layer)) == ((layer + 1) % WithoutRopeEvery == 0));
    }

    /// <summary>llama.cpp's own YaRN, or null where a key differs from what it computes with.</summary>
    private static GgufPositions? OfYarn(SpecPart part, PositionModel model, FrequencyMethod method)
    {
        var factor = part.Number("factor");
        return factor > 1 && part.Number("beta_fast") == 32 && part.Number("beta_slow") == 1 && part.Flag("truncate") && part.Number("extrapolation_factor") == 1
            ? new GgufPositions
            {
                Base = model.Base,
                Scaling = Yarn,
                Factor = factor,
                Original = part.Tokens("original"),
                AttentionFactor = method.Frequencies(0).AttentionScale / ((0.1 * Math.Log(factor)) + 1),
            }
            : null;
    }

    private static GgufPositions OfLongRope(SpecPart part, PositionModel model, FrequencyMethod method)
    {
        var original = part.Tokens("original");
        double[] Factors(int length) => Divisors(model, method.Frequencies(length));
        return new GgufPositions
        {
            Base = model.Base,
            Scaling = LongRope,
            Original = original,
            AttentionFactor = method.Frequencies(0).AttentionScale,
            Factors = [(LongFactors, Factors(original + 1)), (ShortFactors, Factors(original))],
        };
    }

    /// <summary>One base and one factor where the frequencies are a geometric series (rope, abf, linear, ntk), else a list.</summary>
    private static GgufPositions OfFrequencies(Frequencies frequencies, PositionModel model)
    {
        var (first, last, dim) = (frequencies.InverseFrequencies[0], frequencies.InverseFrequencies[^1], model.HeadDim);
        var rotaryBase = Math.Pow(first / last, dim / (dim - 2.0));
        var isSeries = last > 0 && first > last
            && frequencies.InverseFrequencies.Index().All(pair => Math.Abs((pair.Item / (first * Math.Pow(rotaryBase, -2.0 * pair.Index / dim))) - 1) < 1e-9);
        var isScaled = isSeries && Math.Abs(first - 1) > 1e-9;
        return new GgufPositions
        {
            Base = isSeries ? rotaryBase : model.Base,
            Scaling = isScaled ? "linear" : null,
            Factor = isScaled ? 1 / first : 1,
            AttentionFactor = frequencies.AttentionScale,
            Factors = isSeries ? [] : [(FrequencyFactors, Divisors(model, frequencies))],
        };
    }

    private static double[] Divisors(PositionModel model, Frequencies frequencies) =>
        [.. model.InverseFrequencies().Zip(frequencies.InverseFrequencies, (vanilla, frequency) => frequency == 0 ? StandsStill : vanilla / frequency)];

    private static UserException Refused(PositionSpec spec) => new(
        $"the position method '{spec}' has no form in GGUF: llama.cpp rotates all queries and keys at one set of frequencies. What can be exported is {string.Join(", ", Expressible)}, "
        + "each with +resonance (but longrope), with ministral3's +temperature, and with nope in every fourth layer (smollm3)");
}
