using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;

namespace CutoffLen.Cli.Tests.Checkpoints;

/// <summary>Damages files as bad disks, broken downloads and hostile strangers do; the same seed gives the same damage.</summary>
internal sealed class Mutator(int seed)
{
    private static readonly string[] Values =
    [
        "null", "true", "[]", "{}", "-1", "0", "1", "3", "1e999", "-0.5", "9223372036854775807", "18446744073709551616", "1e308", "2147483647",
        "\"\"", "\"../../../etc/passwd\"", "\"/etc/passwd.safetensors\"", "\"..\\\\x.safetensors\"", "\"sub/model.safetensors\"",
        "\"\\u0000.safetensors\"", "\"\\ud800\"", "\"nan\"", "[[[[[[[[[[]]]]]]]]]]", "[4294967296,4294967296]", "[0,4]", "\"F8_E4M3\"", "\"(((\"",
    ];

    private readonly Random random = new(seed);

    /// <summary>A damaged copy of a binary file whose first 8 bytes are a length.</summary>
    public byte[] Binary(byte[] bytes)
    {
        var copy = (byte[])bytes.Clone();
        if (random.Next(4) == 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(copy, Length(copy.Length));
            return copy;
        }

        return Bytes(copy, spread: random.Next(2) == 0 ? copy.Length : Math.Min(copy.Length, 2000));
    }

    /// <summary>A damaged copy of a safetensors file: its bytes, or its header as JSON with a fitting length.</summary>
    public byte[] Safetensors(byte[] bytes)
    {
        if (random.Next(2) == 0)
        {
            return Binary(bytes);
        }

        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        return RawSafetensors.File(Json(bytes[8..(8 + length)]), bytes[(8 + length)..]);
    }

    /// <summary>A damaged copy of a JSON file: its bytes, its text, or a value somewhere in it.</summary>
    public byte[] Json(byte[] bytes) => random.Next(4) switch
    {
        0 => Bytes((byte[])bytes.Clone(), bytes.Length),
        1 => Text(Encoding.UTF8.GetString(bytes)),
        _ => Value(bytes),
    };

    private ulong Length(int size) => random.Next(6) switch
    {
        0 => ulong.MaxValue,
        1 => long.MaxValue,
        2 => (ulong)size,
        3 => (ulong)size - 8,
        4 => (ulong)random.Next(size),
        _ => (ulong)random.NextInt64(),
    };

    private byte[] Bytes(byte[] bytes, int spread)
    {
        var (at, run) = (random.Next(spread), random.Next(1, 40));
        switch (random.Next(5))
        {
            case 0:
                return bytes[..random.Next(bytes.Length)];
            case 1:
                return [.. bytes.AsSpan(0, at), .. bytes.AsSpan(Math.Min(bytes.Length, at + run))];
            case 2:
                return [.. bytes.AsSpan(0, at), .. Enumerable.Range(0, run).Select(_ => (byte)random.Next(256)), .. bytes.AsSpan(at)];
            case 3:
                random.NextBytes(bytes.AsSpan(at, Math.Min(run, bytes.Length - at)));
                return bytes;
            default:
                for (var flips = random.Next(1, 8); flips > 0; flips--)
                {
                    bytes[random.Next(spread)] ^= (byte)(1 << random.Next(8));
                }

                return bytes;
        }
    }

    private byte[] Text(string text)
    {
        var at = random.Next(text.Length);
        var changed = random.Next(4) switch
        {
            0 => text.Insert(at, new string(random.Next(2) == 0 ? '[' : '{', random.Next(1, 20_000))),
            1 => text + text,
            2 => text.Replace(':', random.Next(2) == 0 ? ',' : '='),
            _ => text.Insert(text.IndexOf('{') + 1, $"\"{Keys(text)}\":{Values[random.Next(Values.Length)]},"),
        };
        return Encoding.UTF8.GetBytes(changed);
    }

    /// <summary>A key that the file has already.</summary>
    private string Keys(string text)
    {
        var keys = JsonNode.Parse(text)!.AsObject().Select(pair => pair.Key).ToList();
        return keys[random.Next(keys.Count)];
    }

    private byte[] Value(byte[] bytes)
    {
        // A mark in the tree, replaced in the text: the values that matter most can't be built as nodes.
        const string mark = "\"@here@\"";
        var root = JsonNode.Parse(bytes)!;
        var node = root;
        while (node is JsonObject { Count: > 0 } or JsonArray { Count: > 0 })
        {
            var (names, items) = (node as JsonObject, node as JsonArray);
            var at = random.Next(names?.Count ?? items!.Count);
            var key = names is null ? "" : names.ElementAt(at).Key;
            var child = names is null ? items![at] : names[key];
            if (child is JsonObject or JsonArray && random.Next(5) > 0)
            {
                node = child;
                continue;
            }

            Change(names, items, at, key);
            break;
        }

        return Encoding.UTF8.GetBytes(root.ToJsonString().Replace(mark, Values[random.Next(Values.Length)]));
    }

    private void Change(JsonObject? names, JsonArray? items, int at, string key)
    {
        var what = random.Next(6);
        if (names is null && what == 0)
        {
            items!.RemoveAt(at);
        }
        else if (names is null)
        {
            items![at] = "@here@";
        }
        else if (what == 0)
        {
            names.Remove(key);
        }
        else if (what == 1)
        {
            var value = names[key]?.DeepClone();
            names.Remove(key);
            names[key + (char)random.Next(32, 0x3000)] = value;
        }
        else
        {
            names[key] = "@here@";
        }
    }
}
