using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CutoffLen.Files;

/// <summary>JSON values as what they are, or null.</summary>
internal static class JsonValues
{
    /// <summary>The text, or null.</summary>
    public static string? AsText(this JsonNode? node) => node is JsonValue value && value.TryGetValue(out string? text) ? text : null;

    /// <summary>true or false, or null.</summary>
    public static bool? AsFlag(this JsonNode? node) => node is JsonValue value && value.TryGetValue(out bool flag) ? flag : null;

    /// <summary>The finite number, or null. From its text: a node made in memory and one read from a file have values of different types.</summary>
    public static double? AsNumber(this JsonNode? node) =>
        node?.GetValueKind() == JsonValueKind.Number
        && double.TryParse(node.ToJsonString(), CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? number
            : null;

    /// <summary>Whether the value sets nothing: null, false, or an empty text, list or object.</summary>
    public static bool IsUnset(this JsonNode? node) => node switch
    {
        null => true,
        JsonArray list => list.Count == 0,
        JsonObject pairs => pairs.Count == 0,
        _ => node.AsFlag() == false || node.AsText() is "",
    };
}
