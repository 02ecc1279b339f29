using System.Text.Json.Nodes;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.HuggingFace;

/// <summary>Hugging Face's form of a spec: position keys under which transformers computes the same.</summary>
internal static class RopeScalingForm
{
    /// <summary>The keys; null where Hugging Face has no form.</summary>
    /// <param name="spec">The spec.</param>
    /// <param name="model">The model.</param>
    /// <param name="plain">The keys of vanilla RoPE.</param>
    public static PositionConfig? Of(PositionSpec spec, PositionModel model, PositionConfig plain)
    {
        var part = spec.Method;
        var type = RopeScalingType.All.FirstOrDefault(type => type.Method == part.Entry);
        var written = type?.Keys.Select(key => key.Spec).ToArray() ?? [];
        // Hugging Face has no form for modifiers and layers, beside those of two model types (see PositionConfig.Of), nor for keys that its type lacks.
        var isTheirs = spec.Modifiers.Count == 0 && spec.Layers.Count == 0 && (type is null || part.Entry.Keys.All(key => !part.Has(key.Name) || written.Contains(key.Name)));
        return part.Name switch
        {
            _ when !isTheirs => null,
            "rope" => plain,
            // Both are vanilla RoPE with another base.
            "abf" => plain with { RopeTheta = part.Number("base") },
            "ntk" => plain with { RopeTheta = NtkMethod.BaseFor(model, part.Number("factor")) },
            // Their formulas scale from max_position_embeddings on.
            "dynamic-ntk" or "clex" => plain with { RopeScaling = WithoutOriginal(type!.Write(part)), MaxPositionEmbeddings = part.Tokens("original"), OriginalMaxPositionEmbeddings = null },
            "linear" => plain with { RopeScaling = type!.Write(part) },
            "llama3" => plain with { RopeScaling = type!.Write(part), OriginalMaxPositionEmbeddings = null },
            "yarn" => Stretched(part, plain) is { } stretched ? stretched with { RopeScaling = type!.Write(part) } : null,
            "longrope" when part.Has("short") => Stretched(part, plain) is { } stretched
                ? stretched with { RopeScaling = WithoutOriginal(type!.Write(part)), OriginalMaxPositionEmbeddings = part.Tokens("original") }
                : null,
            _ => null,
        };
    }

    /// <summary>With max_position_embeddings = factor * original, from which Hugging Face computes the factor; null where that is no integer.</summary>
    private static PositionConfig? Stretched(SpecPart part, PositionConfig plain)
    {
        var longest = part.Number("factor") * part.Tokens("original");
        var whole = Math.Round(longest);
        return Math.Abs(longest - whole) < 1e-6 && whole <= int.MaxValue
            ? plain with { MaxPositionEmbeddings = (int)whole, OriginalMaxPositionEmbeddings = null }
            : null;
    }

    private static JsonObject WithoutOriginal(JsonObject scaling)
    {
        scaling.Remove(PositionConfig.OriginalKey);
        return scaling;
    }
}
