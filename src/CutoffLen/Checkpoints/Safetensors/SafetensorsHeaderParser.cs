using System.Text.Json;
using System.Text.Unicode;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Checkpoints.Safetensors;

/// <summary>Parses the JSON part of one safetensors header, forward only, and checks it against the file's length.</summary>
internal sealed class SafetensorsHeaderParser(string path, long dataStart, long fileLength)
{
    private readonly Dictionary<string, SafetensorsEntry> tensors = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> metadata = new(StringComparer.Ordinal);
    private bool metadataSeen;

    /// <summary>The tensors in the order of their bytes, and the metadata.</summary>
    public (IReadOnlyList<SafetensorsEntry> Tensors, IReadOnlyDictionary<string, string> Metadata) Parse(ReadOnlySpan<byte> json)
    {
        if (json.IsEmpty || json[0] != (byte)'{')
        {
            throw Fault("the header does not begin with '{'");
        }

        if (!Utf8.IsValid(json))
        {
            throw Fault("the header is not UTF-8 text");
        }

        try
        {
            ReadAll(json);
        }
        catch (Exception fault) when (fault is JsonException or InvalidOperationException)
        {
            throw new UserException($"{path}: the header is not valid JSON: {fault.Message}", fault);
        }

        return (InOrder(), metadata);
    }

    private void ReadAll(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 4 });
        reader.Read();
        while (Next(ref reader) != JsonTokenType.EndObject)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (name == "__metadata__")
            {
                ReadMetadata(ref reader);
            }
            else if (!tensors.TryAdd(name, ReadEntry(ref reader, name)))
            {
                throw Fault($"the header names tensor {JsonFile.Show(name)} twice");
            }
            else if (tensors.Count > SafetensorsHeader.MaxTensors)
            {
                throw Fault($"more than {SafetensorsHeader.MaxTensors} tensors");
            }
        }

        // Spaces may follow (writers pad with them); anything else makes the reader throw.
        while (reader.Read())
        {
        }
    }

    private static JsonTokenType Next(ref Utf8JsonReader reader)
    {
        reader.Read();
        return reader.TokenType;
    }

    private void ReadMetadata(ref Utf8JsonReader reader)
    {
        if (metadataSeen || reader.TokenType != JsonTokenType.StartObject)
        {
            throw Fault("__metadata__ must be one object of strings");
        }

        metadataSeen = true;
        while (Next(ref reader) != JsonTokenType.EndObject)
        {
            var key = reader.GetString()!;
            if (Next(ref reader) != JsonTokenType.String || !metadata.TryAdd(key, reader.GetString()!))
            {
                throw Fault($"__metadata__ must be one object of strings with different keys; see {JsonFile.Show(key)}");
            }
        }
    }

    private SafetensorsEntry ReadEntry(ref Utf8JsonReader reader, string name)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw Fault(name, "must be an object of dtype, shape and data_offsets");
        }

        string? type = null;
        long[]? shape = null, offsets = null;
        while (Next(ref reader) != JsonTokenType.EndObject)
        {
            var key = reader.GetString();
            reader.Read();
            switch (key)
            {
                case "dtype" when type is null && reader.TokenType == JsonTokenType.String:
                    type = reader.GetString();
                    break;
                case "shape" when shape is null:
                    shape = ReadNumbers(ref reader, name, key);
                    break;
                case "data_offsets" when offsets is null:
                    offsets = ReadNumbers(ref reader, name, key);
                    break;
                default:
                    throw Fault(name, $"key {JsonFile.Show(key!)} is given twice, has the wrong type or is not dtype, shape or data_offsets");
            }
        }

        return type is not null && shape is not null && offsets is [var begin, var end]
            ? Check(name, type, shape, begin, end)
            : throw Fault(name, "needs dtype, shape and data_offsets [begin, end]");
    }

    private long[] ReadNumbers(ref Utf8JsonReader reader, string name, string key)
    {
        const int most = 8;
        var numbers = new List<long>(2);
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            throw Fault(name, $"{key} must be a list of whole numbers");
        }

        while (Next(ref reader) != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var number) || number < 0 || numbers.Count == most)
            {
                throw Fault(name, $"{key} must be a list of at most {most} whole numbers from 0");
            }

            numbers.Add(number);
        }

        return [.. numbers];
    }

    private SafetensorsEntry Check(string name, string type, long[] shape, long begin, long end)
    {
        if (SafetensorsHeader.Dtype(type) is not { } dtype)
        {
            throw Fault(name, $"dtype {JsonFile.Show(type)} is not supported; supported are BF16, F16, F32, F64, I32, I64 and U8");
        }

        if (begin > end || end > fileLength - dataStart)
        {
            throw Fault(name, $"data_offsets [{begin}, {end}] lie outside the {fileLength - dataStart} bytes of data; was the download cut off?");
        }

        Int128 bytes = SafetensorsHeader.Describe(dtype).Bytes;
        foreach (var size in shape)
        {
            // Bounded at each step, so that eight factors of 2^63 can't overflow 128 bits.
            bytes = bytes * size > long.MaxValue ? throw Fault(name, $"shape [{string.Join(", ", shape)}] is too large") : bytes * size;
        }

        return bytes == end - begin
            ? new SafetensorsEntry(name, dtype, shape, dataStart + begin, end - begin)
            : throw Fault(name, $"shape [{string.Join(", ", shape)}] of {type} takes {bytes} bytes, but data_offsets [{begin}, {end}] hold {end - begin}");
    }

    /// <summary>The format wants every byte of the data to belong to exactly one tensor.</summary>
    private List<SafetensorsEntry> InOrder()
    {
        var sorted = tensors.Values.ToList();
        sorted.Sort((a, b) => (a.Offset, a.Bytes).CompareTo((b.Offset, b.Bytes)));
        var at = dataStart;
        foreach (var tensor in sorted)
        {
            if (tensor.Offset != at)
            {
                throw Fault(tensor.Name, tensor.Offset < at
                    ? $"overlaps the tensor before it by {at - tensor.Offset} bytes"
                    : $"leaves a gap of {tensor.Offset - at} bytes before it");
            }

            at += tensor.Bytes;
        }

        return at == fileLength ? sorted : throw Fault($"{fileLength - at} bytes after the last tensor belong to none");
    }

    private UserException Fault(string tensor, string what) => Fault($"tensor {JsonFile.Show(tensor)}: {what}");

    private UserException Fault(string what) => new($"{path}: {what}");
}
