using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.HuggingFace;

/// <summary>
/// The layers of smollm3 (transformers, models/smollm3/configuration_smollm3.py): <c>no_rope_layers</c> has 1 for a layer with
/// RoPE and 0 for one without; where it is null every layer whose number from 1 is a multiple of <c>no_rope_layer_interval</c>
/// is without. llama4 has the same keys, the other model types none.
/// </summary>
internal static class SmolLm3Layers
{
    /// <summary>The model type that has them.</summary>
    public const string ModelType = "smollm3";

    /// <summary>The key of the list.</summary>
    public const string Key = "no_rope_layers";

    /// <summary>The key of the interval.</summary>
    public const string IntervalKey = "no_rope_layer_interval";

    /// <summary>smollm3's rope_theta where the file has none.</summary>
    public const double DefaultTheta = 2_000_000;

    private const int DefaultInterval = 4;

    /// <summary>The list of config.json, an entry a layer; null for other model types.</summary>
    /// <exception cref="UserException">A value is not of its kind.</exception>
    public static IReadOnlyList<int>? Read(JsonObject config)
    {
        if (config["model_type"].AsText() != ModelType || config["num_hidden_layers"].AsNumber() is not { } count)
        {
            return null;
        }

        if (config[Key] is not { } list)
        {
            var interval = config[IntervalKey] is { } node ? PositionConfig.Count(node, IntervalKey) : DefaultInterval;
            return [.. Enumerable.Range(1, (int)count).Select(number => number % interval == 0 ? 0 : 1)];
        }

        return list is JsonArray layers && layers.Count >= count && layers.All(layer => layer.AsNumber() is 0 or 1)
            ? [.. layers.Take((int)count).Select(layer => (int)layer.AsNumber()!)]
            : throw new UserException($"config.json: {Key} must be a list of 1 (RoPE) or 0 (none) for each of the {count} layers, not {list.ToJsonString()}");
    }

    /// <summary>The layers without RoPE as a spec has them.</summary>
    public static IReadOnlyList<LayerSpec> SpecsOf(IReadOnlyList<int>? layers) =>
        layers?.Index().Where(layer => layer.Item == 0).Select(layer => layer.Index).ToList() is { Count: > 0 } without
            ? [new LayerSpec(LayerSelection.Of(without, layers.Count), PositionMethods.Parse(NopeMethod.Entry.Name))]
            : [];

    /// <summary>The keys of a smollm3 model: the method in Hugging Face's form, and the layers without it.</summary>
    /// <param name="setup">The method.</param>
    /// <param name="form">The form of a spec without layers; null where Hugging Face has none.</param>
    /// <returns>Null where Hugging Face has no form.</returns>
    public static PositionConfig? Write(PositionSetup setup, Func<PositionSpec, PositionConfig?> form)
    {
        var others = setup.Spec.Layers;
        return others.All(layers => layers.Spec is { Method.Entry: var entry, Modifiers.Count: 0 } && entry == NopeMethod.Entry) && form(setup.Spec.WithoutLayers()) is { } found
            ? found with { NoRopeLayers = [.. Enumerable.Range(0, setup.Model.Layers).Select(layer => others.Any(layers => layers.Layers.Contains(layer)) ? 0 : 1)] }
            : null;
    }
}
