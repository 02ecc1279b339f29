using System.Text.Json.Nodes;
using CutoffLen.Files;
using CutoffLen.Models.Llama;

namespace CutoffLen.Checkpoints;

/// <summary>The sliding windows of config.json, as the families' code in transformers reads them (<see cref="WindowKeys"/>).</summary>
internal static class SlidingWindowKeys
{
    private const string Window = "sliding_window";
    private const string IsOn = "use_sliding_window";
    private const string FirstLayer = "max_window_layers";
    private const string LayerTypes = "layer_types";
    private const string FullAttention = "full_attention";
    private const string SlidingAttention = "sliding_attention";
    private const int DefaultFirstLayer = 28;

    /// <summary>The window of each layer, in tokens; null where no layer has one.</summary>
    public static IReadOnlyList<int?>? Read(JsonKeys reader, JsonObject json, LlamaConfig config)
    {
        reader.Ignore([Window, IsOn, FirstLayer, LayerTypes, "sliding_window_pattern", "_sliding_window_pattern"]);
        var keys = config.Family.Windows;
        var window = keys == WindowKeys.EveryLayer || reader.Flag(IsOn, keys == WindowKeys.None) ? Tokens(reader, json, config) : null;
        var first = keys == WindowKeys.MaxWindowLayers ? reader.Int(FirstLayer, 0, int.MaxValue, absent: DefaultFirstLayer) : 0;
        bool[] sliding = [.. Enumerable.Range(0, config.NumHiddenLayers).Select(layer => window is not null && keys switch
        {
            WindowKeys.NoRopeLayers => config.NoRopeLayers?[layer] == 0,
            WindowKeys.None => false,
            _ => layer >= first,
        })];
        if (json[LayerTypes] is { } types)
        {
            var isRead = window is not null && keys is WindowKeys.MaxWindowLayers or WindowKeys.NoRopeLayers;
            sliding = NamedLayers(types) is { } named && named.Length == sliding.Length && (isRead || named.SequenceEqual(sliding))
                ? named
                : reader.Wrong(LayerTypes, types, $"\"{FullAttention}\"{(isRead ? $" or \"{SlidingAttention}\"" : "")} for each of the {sliding.Length} layers", sliding);
        }

        if (sliding.Contains(true) && json["rope_parameters"] is JsonObject blocks && blocks[SlidingAttention] is { } own && !JsonNode.DeepEquals(own, blocks[FullAttention]))
        {
            reader.Problems.Add($"\"rope_parameters\" has another block for {SlidingAttention} than for {FullAttention}; {config.ModelType} has one for all layers in transformers");
        }

        return sliding.Contains(true) ? [.. sliding.Select(slides => slides ? window : null)] : null;
    }

    /// <summary>The keys of a configuration.</summary>
    public static IEnumerable<(string Key, JsonNode? Value)> Write(LlamaConfig config)
    {
        var (keys, windows) = (config.Family.Windows, config.Windows);
        if (keys == WindowKeys.None)
        {
            yield break;
        }

        yield return (Window, windows?.Max());
        if (keys == WindowKeys.EveryLayer)
        {
            yield break;
        }

        yield return (IsOn, windows is not null);
        if (windows is not null)
        {
            yield return (LayerTypes, new JsonArray([.. windows.Select(window => (JsonNode)(window is null ? FullAttention : SlidingAttention))]));
        }

        if (windows is not null && keys == WindowKeys.MaxWindowLayers)
        {
            // Versions of transformers before layer_types read this alone.
            yield return (FirstLayer, windows.TakeWhile(window => window is null).Count());
        }
    }

    /// <summary>The window where one is switched on. llama and olmo2 have none in transformers, but vLLM obeys llama's key.</summary>
    private static int? Tokens(JsonKeys reader, JsonObject json, LlamaConfig config)
    {
        if (!json.ContainsKey(Window))
        {
            return config.Family.AbsentWindow;
        }

        if (json[Window] is not { } node)
        {
            return null;
        }

        var window = reader.Int(Window, 1, int.MaxValue);
        return config.Family.Windows != WindowKeys.None || window >= config.MaxPositionEmbeddings
            ? window
            : reader.Wrong(Window, node, $"null, or at least max_position_embeddings ({config.MaxPositionEmbeddings}): {config.ModelType} has no window in transformers", 0);
    }

    /// <summary>Whether each layer slides; null where the list has other words.</summary>
    private static bool[]? NamedLayers(JsonNode types) =>
        types is JsonArray list && list.All(type => type.AsText() is FullAttention or SlidingAttention)
            ? [.. list.Select(type => type.AsText() == SlidingAttention)]
            : null;
}
