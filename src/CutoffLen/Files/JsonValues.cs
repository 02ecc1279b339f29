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

    /// <summary>The finite number, or null.</summary>
    public static double? AsNumber(this JsonNode? node) =>
        node is JsonValue value && value.GetValueKind() == JsonValueKind.Number
        && value.TryGetValue(out double number) && double.IsFinite(number)
            ? number
            : null;
}
