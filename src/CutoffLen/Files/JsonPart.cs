using System.Text.Json;

namespace CutoffLen.Files;

/// <summary>
/// A value in a JSON file with its path. Absent values are null. Reading a value as another kind throws
/// <see cref="InvalidDataException"/> with the path.
/// </summary>
/// <param name="Value">The value; of kind Undefined when absent.</param>
/// <param name="Parent">The path of its parent, empty for the root.</param>
/// <param name="Key">Its key, or null in a list.</param>
/// <param name="Index">Its index, in a list.</param>
internal readonly record struct JsonPart(JsonElement Value, string Parent, string? Key, int Index = 0)
{
    /// <summary>
    /// The path of the value, for example model.vocab. It is built when asked for, because a vocabulary has hundreds of
    /// thousands of values.
    /// </summary>
    public string Path => Key is null ? $"{Parent}[{Index}]" : Parent.Length == 0 ? Key : $"{Parent}.{Key}";

    /// <summary>The whole document.</summary>
    public static JsonPart Root(JsonElement value) => new(value, "", "");

    /// <summary>A property; absent in anything that is null or absent.</summary>
    public JsonPart this[string key] => Value.ValueKind switch
    {
        JsonValueKind.Object when Value.TryGetProperty(key, out var value) => new JsonPart(value, Path, key),
        JsonValueKind.Object or JsonValueKind.Null or JsonValueKind.Undefined => new JsonPart(default, Path, key),
        _ => throw Wrong("an object"),
    };

    /// <summary>Whether there is no value.</summary>
    public bool IsNull => Value.ValueKind is JsonValueKind.Null or JsonValueKind.Undefined;

    /// <summary>A text, or null.</summary>
    public string? Text() => IsNull || Value.ValueKind == JsonValueKind.Array ? null
        : Value.ValueKind == JsonValueKind.String ? Value.GetString() : throw Wrong("a text");

    /// <summary>true or false; false when absent.</summary>
    public bool Flag() => !IsNull && (Value.ValueKind is JsonValueKind.True or JsonValueKind.False ? Value.GetBoolean() : throw Wrong("true or false"));

    /// <summary>A number, or null.</summary>
    public double? Number() => IsNull ? null
        : Value.ValueKind == JsonValueKind.Number && Value.TryGetDouble(out var number) ? number : throw Wrong("a number");

    /// <summary>A token id.</summary>
    public int Id() => Value.ValueKind == JsonValueKind.Number && Value.TryGetInt32(out var id) && id >= 0 ? id : throw Wrong("a token id");

    /// <summary>The items of a list; none when absent.</summary>
    public IEnumerable<JsonPart> Items()
    {
        if (IsNull)
        {
            yield break;
        }

        if (Value.ValueKind != JsonValueKind.Array)
        {
            throw Wrong("a list");
        }

        var (at, path) = (0, Path);
        foreach (var item in Value.EnumerateArray())
        {
            yield return new JsonPart(item, path, null, at++);
        }
    }

    /// <summary>The properties of an object; none when absent.</summary>
    public IEnumerable<(string Name, JsonPart Value)> Properties()
    {
        if (IsNull)
        {
            yield break;
        }

        if (Value.ValueKind != JsonValueKind.Object)
        {
            throw Wrong("an object");
        }

        var path = Path;
        foreach (var property in Value.EnumerateObject())
        {
            var name = property.Name;
            yield return (name, new JsonPart(property.Value, path, name));
        }
    }

    /// <summary>The value in words, cut.</summary>
    public override string ToString()
    {
        var text = IsNull ? "missing" : Value.GetRawText();
        return text.Length <= 100 ? text : text[..100] + "...";
    }

    private InvalidDataException Wrong(string allowed) => new($"{Path} is {this}; allowed is {allowed}");
}
