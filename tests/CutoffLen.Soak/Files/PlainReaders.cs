using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CutoffLen.Soak.Files;

/// <summary>Short readers that share nothing with the product's. What they can't read throws <see cref="FormatException"/>.</summary>
internal static class PlainReaders
{
    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    /// <summary>An object without duplicate keys, at any depth.</summary>
    public static JsonObject Json(ReadOnlySpan<byte> bytes)
    {
        if (bytes.StartsWith(Encoding.UTF8.Preamble))
        {
            bytes = bytes[Encoding.UTF8.Preamble.Length..];
        }

        try
        {
            using var document = JsonDocument.Parse(StrictUtf8.GetString(bytes));
            CheckKeys(document.RootElement);
            return JsonNode.Parse(document.RootElement.GetRawText()) as JsonObject ?? throw new FormatException("no object");
        }
        catch (Exception fault) when (fault is JsonException or DecoderFallbackException or InvalidOperationException)
        {
            throw new FormatException(fault.Message, fault);
        }
    }

    /// <summary>A number, as any JSON reader has it; null for absent or null.</summary>
    public static double? Number(JsonNode? node) => node is null ? null
        : node.GetValueKind() == JsonValueKind.Number ? double.Parse(node.ToJsonString(), System.Globalization.CultureInfo.InvariantCulture)
        : throw new FormatException($"{node.ToJsonString()} is no number");

    /// <summary>The float32 tensors of a safetensors file: the ranges cover the data without gap or overlap.</summary>
    public static Dictionary<string, float[]> Safetensors(byte[] file)
    {
        var length = file.Length < 8 ? ulong.MaxValue : BinaryPrimitives.ReadUInt64LittleEndian(file);
        if (length > (ulong)file.Length - 8)
        {
            throw new FormatException("the header is longer than the file");
        }

        var header = file.AsSpan(8, (int)length);
        var data = file.AsSpan(8 + (int)length);
        var tensors = new Dictionary<string, float[]>();
        var ranges = new List<(long Begin, long End)>();
        foreach (var (name, node) in Json(header).Where(pair => pair.Key != "__metadata__"))
        {
            var entry = node as JsonObject ?? throw new FormatException($"{name} is no object");
            var shape = Numbers(entry["shape"]);
            if (entry["dtype"]?.ToString() != "F32" || entry.Count != 3 || Numbers(entry["data_offsets"]) is not [var begin, var end])
            {
                throw new FormatException($"{name} is not F32 with a shape and a range");
            }

            if (begin > end || end > data.Length || shape.Aggregate((Int128)4, (bytes, size) => bytes * size) != end - begin)
            {
                throw new FormatException($"{name}: shape and range do not fit");
            }

            ranges.Add((begin, end));
            tensors[name] = MemoryMarshal.Cast<byte, float>(data[(int)begin..(int)end]).ToArray();
        }

        var at = 0L;
        foreach (var (begin, end) in ranges.Order())
        {
            at = begin == at ? end : throw new FormatException("a gap or an overlap");
        }

        return at == data.Length ? tensors : throw new FormatException("bytes that belong to no tensor");
    }

    /// <summary>The tensors of a GGUF file by llama.cpp's names: float32, float16 (1) and bfloat16 (30).</summary>
    public static Dictionary<string, float[]> Gguf(byte[] file)
    {
        using var reader = new BinaryReader(new MemoryStream(file));
        try
        {
            if (reader.ReadUInt32() != 0x46554747 || reader.ReadUInt32() is not (2 or 3))
            {
                throw new FormatException("no GGUF of version 2 or 3");
            }

            var (tensors, keys) = (reader.ReadInt64(), reader.ReadInt64());
            for (; keys > 0; keys--)
            {
                _ = Text(reader);
                Skip(reader, reader.ReadInt32());
            }

            var entries = new List<(string Name, long Count, int Type, long Offset)>();
            for (; tensors > 0; tensors--)
            {
                var (name, count) = (Text(reader), 1L);
                for (var dimensions = reader.ReadInt32(); dimensions > 0; dimensions--)
                {
                    count = checked(count * reader.ReadInt64());
                }

                entries.Add((name, count, reader.ReadInt32(), reader.ReadInt64()));
            }

            var begin = (reader.BaseStream.Position + 31) / 32 * 32;
            return entries.ToDictionary(entry => entry.Name, entry => Floats(file.AsSpan(checked((int)(begin + entry.Offset)), checked((int)(entry.Count * (entry.Type == 0 ? 4 : 2)))), entry.Type));
        }
        catch (Exception fault) when (fault is EndOfStreamException or OverflowException or ArgumentException or DecoderFallbackException)
        {
            throw new FormatException(fault.Message, fault);
        }
    }

    private static float[] Floats(ReadOnlySpan<byte> bytes, int type) => type switch
    {
        0 => MemoryMarshal.Cast<byte, float>(bytes).ToArray(),
        1 => Array.ConvertAll(MemoryMarshal.Cast<byte, Half>(bytes).ToArray(), half => (float)half),
        30 => Array.ConvertAll(MemoryMarshal.Cast<byte, ushort>(bytes).ToArray(), bits => BitConverter.Int32BitsToSingle(bits << 16)),
        _ => throw new FormatException($"type {type}"),
    };

    private static string Text(BinaryReader reader) => StrictUtf8.GetString(reader.ReadBytes(checked((int)reader.ReadInt64())));

    private static void Skip(BinaryReader reader, int kind)
    {
        if (kind == 8)
        {
            _ = Text(reader);
        }
        else if (kind == 9)
        {
            var (items, count) = (reader.ReadInt32(), reader.ReadInt64());
            for (; count > 0; count--)
            {
                Skip(reader, items);
            }
        }
        else
        {
            _ = reader.ReadBytes(kind switch { 0 or 1 or 7 => 1, 2 or 3 => 2, 4 or 5 or 6 => 4, 10 or 11 or 12 => 8, _ => throw new FormatException($"no kind {kind}") });
        }
    }

    private static void CheckKeys(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Object)
        {
            var keys = value.EnumerateObject().Select(property => property.Name).ToList();
            if (keys.Distinct().Count() != keys.Count)
            {
                throw new FormatException("a key is given twice");
            }
        }

        IEnumerable<JsonElement> inner = value.ValueKind switch
        {
            JsonValueKind.Object => value.EnumerateObject().Select(property => property.Value),
            JsonValueKind.Array => value.EnumerateArray(),
            _ => [],
        };
        foreach (var item in inner)
        {
            CheckKeys(item);
        }

        _ = value.ValueKind == JsonValueKind.String ? value.GetString() : null;
    }

    private static long[] Numbers(JsonNode? node) => node is JsonArray list
        ? [.. list.Select(item => Number(item) is { } number && number >= 0 && number < 1L << 53 && number == Math.Floor(number) ? (long)number : throw new FormatException("no whole number"))]
        : throw new FormatException("no list of numbers");
}
