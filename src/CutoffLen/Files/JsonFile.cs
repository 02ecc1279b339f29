using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;
using CutoffLen.Common;

namespace CutoffLen.Files;

/// <summary>
/// Reads the JSON files of a checkpoint folder. They come from strangers, so size and depth are limited, and duplicate
/// keys and invalid UTF-8 or UTF-16 refused. Every fault is a <see cref="UserException"/> that names the file.
/// </summary>
internal static class JsonFile
{
    /// <summary>Enough for any config.json, tokenizer_config.json or generation_config.json (bytes).</summary>
    public const long SmallFile = 16 << 20;

    /// <summary>Enough for an index of 100,000 tensors or a vocabulary of a million tokens (bytes).</summary>
    public const long LargeFile = 256 << 20;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 64 };

    /// <summary>The object in the file, all of it readable: no later access can fail on its encoding.</summary>
    public static JsonObject ReadObject(string path, long maxBytes = SmallFile) =>
        ParseObject(ReadBytes(path, maxBytes), path);

    /// <summary>The object in these bytes; <paramref name="source"/> is the name in error messages.</summary>
    public static JsonObject ParseObject(ReadOnlyMemory<byte> json, string source)
    {
        using var document = Parse(json, source);
        return document.RootElement.ValueKind == JsonValueKind.Object
            ? JsonObject.Create(document.RootElement.Clone())!
            : throw new UserException($"{source}: expected a JSON object, found {Kind(document.RootElement)}");
    }

    /// <summary>The file as a document, which the caller disposes.</summary>
    public static JsonDocument ReadDocument(string path, long maxBytes) => Parse(ReadBytes(path, maxBytes), path);

    /// <summary>The whole file; empty files, those over the limit and those that can't be read are errors.</summary>
    public static byte[] ReadBytes(string path, long maxBytes)
    {
        try
        {
            var length = LengthOf(path);
            if (length == 0)
            {
                throw new UserException($"{path}: the file is empty");
            }

            return length <= maxBytes
                ? File.ReadAllBytes(path)
                : throw new UserException($"{path}: {length} bytes, more than the {maxBytes} allowed for such a file");
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: cannot be read: {fault.Message}", fault);
        }
    }

    /// <summary>
    /// Bytes of a file, links followed: Hugging Face's cache is made of links. Ask before opening, because opening a named
    /// pipe, which has no bytes, waits for a writer.
    /// </summary>
    public static long LengthOf(string path)
    {
        var file = new FileInfo(path);
        return file.ResolveLinkTarget(returnFinalTarget: true) is FileInfo target ? target.Length : file.Length;
    }

    /// <summary>A name from a file for a message: escaped, so that it can't disturb a terminal, and cut.</summary>
    public static string Show(string text) =>
        '\'' + JsonEncodedText.Encode(text.Length <= 100 ? text : text[..100] + "...", Readable).ToString() + '\'';

    /// <summary>What a JSON value is, in words.</summary>
    public static string Kind(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.String => Show(value.GetString()!),
        JsonValueKind.Number => value.GetRawText() is { Length: > 40 } digits ? digits[..40] + "..." : value.GetRawText(),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };

    // Everything but control characters, quotes and the like stays as it is.
    private static System.Text.Encodings.Web.JavaScriptEncoder Readable =>
        System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    /// <summary>These bytes as a document, which the caller disposes.</summary>
    public static JsonDocument Parse(ReadOnlyMemory<byte> json, string source)
    {
        if (json.Span.StartsWith(Encoding.UTF8.Preamble))
        {
            json = json[Encoding.UTF8.Preamble.Length..];
        }

        if (!Utf8.IsValid(json.Span))
        {
            throw new UserException($"{source}: not UTF-8 text");
        }

        JsonDocument? document = null;
        try
        {
            document = JsonDocument.Parse(json, Strict);
            ReadSurrogates(document.RootElement, json.Span);
            return document;
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            document?.Dispose();
            throw new UserException($"{source}: not valid JSON: {fault.Message}", fault);
        }
    }

    /// <summary>Fails on half a surrogate pair, which JSON's grammar allows and .NET refuses when the string is read.</summary>
    private static void ReadSurrogates(JsonElement root, ReadOnlySpan<byte> json)
    {
        if (json.IndexOf("\\ud"u8) >= 0 || json.IndexOf("\\uD"u8) >= 0)
        {
            ReadStrings(root);
        }
    }

    private static void ReadStrings(JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                value.GetString();
                break;
            case JsonValueKind.Array:
                foreach (var item in value.EnumerateArray())
                {
                    ReadStrings(item);
                }

                break;
            case JsonValueKind.Object:
                foreach (var property in value.EnumerateObject())
                {
                    _ = property.Name;
                    ReadStrings(property.Value);
                }

                break;
        }
    }
}
