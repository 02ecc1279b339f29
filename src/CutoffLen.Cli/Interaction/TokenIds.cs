using System.Text.Json;
using CutoffLen.Common;

namespace CutoffLen.Cli.Interaction;

/// <summary>Token ids as users give them.</summary>
internal static class TokenIds
{
    /// <summary>
    /// A JSON array of ids, an object with such an array under <c>ids</c> (what <c>tokenize --json</c> prints) or
    /// <c>input_ids</c>, or numbers separated by white space or commas.
    /// </summary>
    /// <param name="text">The text.</param>
    /// <param name="source">Where it is from, for messages.</param>
    /// <exception cref="UserException">It is none of these.</exception>
    public static int[] Parse(string text, string source)
    {
        if (text.TrimStart() is not ['[' or '{', ..])
        {
            return [.. text.Split((char[])[' ', ',', '\t', '\r', '\n'], StringSplitOptions.RemoveEmptyEntries).Select(word => Id(word, source))];
        }

        try
        {
            using var json = JsonDocument.Parse(text);
            return [.. List(json.RootElement, source).EnumerateArray().Select(item => Id(item.GetRawText(), source))];
        }
        catch (JsonException fault)
        {
            throw new UserException($"{source}: not valid JSON: {fault.Message}", fault);
        }
    }

    /// <summary>Ids from a file.</summary>
    public static int[] Read(string path) => Parse(Utf8Text.Read(path), path);

    private static JsonElement List(JsonElement root, string source)
    {
        if (root.ValueKind == JsonValueKind.Object && (root.TryGetProperty("ids", out var list) || root.TryGetProperty("input_ids", out list)))
        {
            root = list;
        }

        return root.ValueKind == JsonValueKind.Array
            ? root
            : throw new UserException($"{source}: expected a list of token ids, or an object with one under \"ids\" or \"input_ids\"");
    }

    private static int Id(string text, string source) => int.TryParse(text, out var id) && id >= 0
        ? id
        : throw new UserException($"{source}: '{(text.Length <= 40 ? text : text[..40] + "...")}' is not a token id");
}
