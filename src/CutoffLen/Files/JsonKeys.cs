using System.Text.Json;
using System.Text.Json.Nodes;

namespace CutoffLen.Files;

/// <summary>
/// Typed access to the keys of a JSON object. It remembers which keys were read and collects every problem, so that the
/// user sees all of them at once. After a problem a stand-in value is returned, and the result is not used.
/// </summary>
internal sealed class JsonKeys(JsonObject json)
{
    private readonly HashSet<string> read = new(StringComparer.Ordinal);

    /// <summary>What is wrong, one line each.</summary>
    public List<string> Problems { get; } = [];

    /// <summary>Keys that nothing asked for.</summary>
    public IEnumerable<string> Unread => json.Select(pair => pair.Key).Where(key => !read.Contains(key));

    /// <summary>The value as it stands; null when absent or null.</summary>
    public JsonNode? Node(string key)
    {
        read.Add(key);
        return json[key];
    }

    /// <summary>Counts keys as read whose values don't matter here.</summary>
    public void Ignore(IEnumerable<string> keys) => read.UnionWith(keys);

    /// <summary>A whole number in a range; without a default it is required.</summary>
    public int Int(string key, int min, int max, int? absent = null)
    {
        if (Node(key) is not { } node)
        {
            return absent ?? Missing(key, min);
        }

        // Python writes some counts as 8192.0.
        return node.AsNumber() is { } number && number >= min && number <= max && number == Math.Floor(number)
            ? (int)number
            : Wrong(key, node, $"a whole number from {min} to {max}", min);
    }

    /// <summary>A number that is finite in float32, in which networks compute.</summary>
    public double Number(string key, double absent) => Value(key, node => Finite(node.AsNumber()), "a number that float32 has", absent);

    /// <summary>A number that is finite in float32; else null.</summary>
    public static double? Finite(double? number) => float.IsFinite((float)(number ?? double.NaN)) ? number : null;

    /// <summary>A finite number above zero.</summary>
    public double Positive(string key, double absent) =>
        Value(key, node => node.AsNumber() is > 0 and var number ? number : null, "a number above 0", absent);

    /// <summary>true or false.</summary>
    public bool Flag(string key, bool absent) => Value(key, node => node.AsFlag(), "true or false", absent);

    /// <summary>A text, or null when absent.</summary>
    public string? Text(string key) => Node(key) switch
    {
        null => null,
        var node => node.AsText() ?? Wrong<string?>(key, node, "a text", null),
    };

    /// <summary>A list of texts; empty when absent.</summary>
    public string[] Texts(string key) => Node(key) switch
    {
        null => [],
        JsonArray list when list.All(item => item.AsText() is not null) => [.. list.Select(item => item.AsText()!)],
        var node => Wrong<string[]>(key, node, "a list of texts", []),
    };

    /// <summary>A token id or a list of them; none when absent or null.</summary>
    public int[] TokenIds(string key, int vocabSize)
    {
        var node = Node(key);
        var items = node switch
        {
            null => [],
            JsonArray list => list.ToArray(),
            _ => [node],
        };
        var ids = items.Select(item => item.AsNumber() is >= 0 and var id && id < vocabSize && id == Math.Floor(id) ? (int)id : -1).ToArray();
        return ids.Contains(-1) ? Wrong<int[]>(key, node!, $"token ids from 0 to {vocabSize - 1}", []) : ids;
    }

    /// <summary>Reports a key's value and what it may be.</summary>
    public T Wrong<T>(string key, JsonNode node, string allowed, T standIn)
    {
        using var value = JsonDocument.Parse(node.ToJsonString());
        Problems.Add($"\"{key}\" is {JsonFile.Kind(value.RootElement)}; allowed is {allowed}");
        return standIn;
    }

    private int Missing(string key, int standIn)
    {
        Problems.Add($"\"{key}\" is missing");
        return standIn;
    }

    private T Value<T>(string key, Func<JsonNode, T?> read, string allowed, T absent)
        where T : struct => Node(key) is not { } node ? absent : read(node) ?? Wrong(key, node, allowed, absent);
}
