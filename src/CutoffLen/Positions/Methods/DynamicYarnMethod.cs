using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// YaRN by as much as the sequence needs (jquesnelle/yarn, LlamaDynamicYaRNScaledRotaryEmbedding). Up to <c>max</c> tokens it
/// is vanilla, or YaRN by max / original for a model that was fine-tuned so; beyond, YaRN by length / original. The same
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
            YarnMethod.BetaFast, YarnMethod.BetaSlow, YarnMethod.AttentionFactor, NtkPartsMethod.ExtrapolationShare,
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
