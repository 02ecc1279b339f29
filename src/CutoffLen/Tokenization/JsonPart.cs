using System.Text.Json;

namespace CutoffLen.Tokenization;

/// <summary>
/// A value in a JSON file together with the way to it, for messages. What is absent is null, and reading a value as
/// something else than it is throws <see cref="InvalidDataException"/> with its path.
/// </summary>
/// <param name="Value">The value; of kind Undefined when absent.</param>
/// <param name="Path">For example model.vocab.</param>
internal readonly record struct JsonPart(JsonElement Value, string Path)
{
    /// <summary>A property; absent in anything that is null or absent.</summary>
    public JsonPart this[string key] => Value.ValueKind switch
    {
        JsonValueKind.Object when Value.TryGetProperty(key, out var value) => new JsonPart(value, Join(key)),
        JsonValueKind.Object or JsonValueKind.Null or JsonValueKind.Undefined => new JsonPart(default, Join(key)),
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

        var at = 0;
        foreach (var item in Value.EnumerateArray())
        {
            yield return new JsonPart(item, $"{Path}[{at++}]");
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

        foreach (var property in Value.EnumerateObject())
        {
            yield return (property.Name, new JsonPart(property.Value, Join(property.Name)));
        }
    }

    /// <summary>The value in words, cut.</summary>
    public override string ToString()
    {
        var text = IsNull ? "missing" : Value.GetRawText();
        return text.Length <= 100 ? text : text[..100] + "...";
    }

    private string Join(string key) => Path.Length == 0 ? key : $"{Path}.{key}";

    private InvalidDataException Wrong(string allowed) => new($"{Path} is {this}; allowed is {allowed}");
}
