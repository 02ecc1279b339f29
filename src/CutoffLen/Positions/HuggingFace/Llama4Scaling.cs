using System.Text.Json.Nodes;
using CutoffLen.Files;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.HuggingFace;

/// <summary>
/// The temperature in the position block of ministral3: beta under <c>llama_4_scaling_beta</c>, and
/// <c>original_max_position_embeddings</c>. Its code in transformers needs both keys, and no other model type reads the first.
/// </summary>
internal static class Llama4Scaling
{
    /// <summary>The model type that has it.</summary>
    public const string ModelType = "ministral3";

    /// <summary>The key of beta.</summary>
    public const string Key = "llama_4_scaling_beta";

    /// <summary>The modifier that a block means; null where beta is absent or 0.</summary>
    /// <param name="block">rope_parameters, or null.</param>
    /// <param name="original">Tokens of a step.</param>
    public static SpecPart? Read(JsonObject? block, int original)
    {
        if (block?[Key] is not { } node || node.AsNumber() == 0)
        {
            return null;
        }

        var entry = TemperatureMethod.Entry;
        var beta = entry.Key("beta").Parse(node.ToJsonString()) ?? throw entry.NotAllowed(entry.Key("beta"), node.ToJsonString());
        return new SpecPart(entry, new Dictionary<string, object> { ["beta"] = beta, ["original"] = original });
    }

    /// <summary>The keys of a ministral3 model: the method in Hugging Face's form, and the temperature.</summary>
    /// <param name="spec">Resolved.</param>
    /// <param name="form">The form of a spec without modifiers; null where Hugging Face has none.</param>
    /// <returns>Null where Hugging Face has no form.</returns>
    public static PositionConfig? Write(PositionSpec spec, Func<PositionSpec, PositionConfig?> form)
    {
        var temperature = spec.Modifiers is [{ Entry: var entry } only] && entry == TemperatureMethod.Entry && only.Word("form") == TemperatureMethod.Ministral3
            ? only
            : null;
        var found = form(temperature is null ? spec : new PositionSpec(spec.Method, []));
        return found is not null && (temperature is null || temperature.Tokens("original") == found.NativeLength)
            ? With(found, temperature?.Number("beta") ?? 0)
            : null;
    }

    /// <summary>With the two keys in the block.</summary>
    public static PositionConfig With(PositionConfig config, double beta)
    {
        var block = config.RopeScaling?.DeepClone().AsObject() ?? new JsonObject { ["rope_type"] = "default" };
        block[PositionConfig.OriginalKey] = config.NativeLength;
        block[Key] = beta;
        return config with { RopeScaling = block };
    }
}
