using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace CutoffLen.Soak.Files;

/// <summary>A damaged file.</summary>
/// <param name="Bytes">What is in it.</param>
/// <param name="IsHarmless">Whether it still says the same: only white space, key order, escapes or line ends changed.</param>
internal readonly record struct DamagedFile(byte[] Bytes, bool IsHarmless = false);

/// <summary>Damages files as bad disks, broken downloads, editors and hostile strangers do; the same seed gives the same damage.</summary>
internal sealed class Damage(int seed)
{
    private static readonly string[] Values =
    [
        "null", "true", "false", "[]", "{}", "-1", "0", "1", "3", "1.0", "0.5", "-0.5", "1e999", "1e308", "NaN", "9223372036854775807",
        "18446744073709551616", "2147483647", "64", "\"\"", "\"../../../etc/passwd\"", "\"/etc/passwd.safetensors\"", "\"..\\\\x.safetensors\"",
        "\"sub/model.safetensors\"", "\"\\u0000.safetensors\"", "\"\\ud800\"", "\"nan\"", "[[[[[[[[[[]]]]]]]]]]", "[4294967296,4294967296]", "[0,4]",
        "[null]", "\"F8_E4M3\"", "\"(((\"", $"\"{new string('a', 100_000)}\"", new string('9', 400),
    ];

    private static readonly string[] YamlValues =
    [
        "null", "~", "", "-1", "0", "1", "3", "0.5", "1e999", ".nan", ".inf", "0x10", "0o7", "1_000", "1,5", "yes", "True", "8k", "2k..8k", "9223372036854775808",
        "[1, 2", "[1, 2]", "{a: b}", "&a 1", "*a", "!!int 3", "!!binary aaaa", "|\n  text", ">\n  text", "\"open", "'x'", "\"\\x\"", "- 1", "? a", "%a", "@a", "`a`",
    ];

    private static readonly byte[][] NotUtf8 = [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82]];

    private readonly Random random = new(seed);

    /// <summary>A number from 0 to below <paramref name="count"/>, for choices that a kind makes itself.</summary>
    public int Choose(int count) => random.Next(count);

    /// <summary>A damaged copy of a binary file whose first 8 bytes are a length.</summary>
    public DamagedFile Binary(byte[] bytes)
    {
        var copy = (byte[])bytes.Clone();
        if (random.Next(4) == 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(copy, Length(copy.Length));
            return new(copy);
        }

        return new(Bytes(copy, spread: random.Next(2) == 0 ? copy.Length : Math.Min(copy.Length, 2000)));
    }

    /// <summary>A damaged copy of a GGUF file: its bytes, or a length, kind, dimension or offset beside a name in its header.</summary>
    public DamagedFile Gguf(byte[] bytes)
    {
        string[] names = ["token_embd.weight", "blk.0.attn_k.weight", "blk.1.ffn_up.weight", "output.weight", "llama.context_length", "llama.block_count", "general.architecture", "tokenizer.ggml.tokens", "tokenizer.ggml.scores"];
        if (random.Next(3) == 0)
        {
            return new(Bytes((byte[])bytes.Clone(), spread: random.Next(2) == 0 ? bytes.Length : Math.Min(bytes.Length, 2000)));
        }

        var copy = (byte[])bytes.Clone();
        var name = Encoding.UTF8.GetBytes(names[random.Next(names.Length)]);
        var at = random.Next(8) == 0 ? 0 : copy.AsSpan().IndexOf(name);
        int[] places = at == 0 ? [4, 8, 16] : [at - 8, at + name.Length, at + name.Length + 4, at + name.Length + 8, at + name.Length + 20, at + name.Length + 24];
        var place = copy.AsSpan(places[random.Next(places.Length)]);
        if (random.Next(2) == 0)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(place, Length(copy.Length));
        }
        else
        {
            BinaryPrimitives.WriteInt32LittleEndian(place, random.Next(4) == 0 ? random.Next() : random.Next(64));
        }

        return new(copy);
    }

    /// <summary>A damaged copy of a safetensors file: its bytes, or its header as JSON with a fitting length.</summary>
    public DamagedFile Safetensors(byte[] bytes)
    {
        if (random.Next(2) == 0)
        {
            return Binary(bytes);
        }

        var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes);
        var (header, isHarmless) = random.Next(8) == 0 ? new(SwapOffsets(bytes[8..(8 + length)])) : Json(bytes[8..(8 + length)], mayBegin: false);
        return new(RawSafetensors.File(header, bytes[(8 + length)..]), isHarmless);
    }

    /// <summary>A damaged copy of a JSON file: its bytes, its text, or a value somewhere in it.</summary>
    /// <param name="bytes">The file.</param>
    /// <param name="mayBegin">Whether a byte order mark or white space may stand before it.</param>
    public DamagedFile Json(byte[] bytes, bool mayBegin = true) => random.Next(10) switch
    {
        0 => new(Respell(bytes, mayBegin), IsHarmless: true),
        < 3 => new(Bytes((byte[])bytes.Clone(), bytes.Length)),
        < 6 => new(Text(Encoding.UTF8.GetString(bytes))),
        _ => new(Value(bytes)),
    };

    /// <summary>A damaged copy of a file of lines, each of them JSON.</summary>
    public DamagedFile JsonLines(byte[] bytes)
    {
        var lines = Encoding.UTF8.GetString(bytes).Split('\n').ToList();
        var at = random.Next(lines.Count);
        switch (random.Next(5))
        {
            case 0:
                return new(Bytes((byte[])bytes.Clone(), bytes.Length));
            case 1:
                lines.Insert(at, random.Next(3) switch { 0 => "", 1 => " \t", _ => "\r" });
                return Joined(random.Next(2) == 0 ? "\n" : "\r\n", IsHarmless: true);
            case 2:
                return Joined(random.Next(3) switch { 0 => "", 1 => "\r", _ => "\n\n" }, IsHarmless: false);
            default:
                if (lines[at].Length == 0)
                {
                    return Joined("\n", IsHarmless: true);
                }

                var (line, isHarmless) = Json(Encoding.UTF8.GetBytes(lines[at]), mayBegin: false);
                var before = Encoding.UTF8.GetBytes(string.Concat(lines.Take(at).Select(text => text + "\n")));
                var after = Encoding.UTF8.GetBytes(string.Concat(lines.Skip(at + 1).Select(text => "\n" + text)));
                // Written over several lines it is no line any more.
                return new([.. before, .. line, .. after], isHarmless && !line.Contains((byte)'\n'));
        }

        DamagedFile Joined(string separator, bool IsHarmless) => new(Encoding.UTF8.GetBytes(string.Join(separator, lines)), IsHarmless);
    }

    /// <summary>A damaged copy of a YAML file of flat keys, a line each.</summary>
    public DamagedFile Yaml(byte[] bytes)
    {
        var lines = Encoding.UTF8.GetString(bytes).TrimEnd('\n').Split('\n').ToList();
        var at = random.Next(lines.Count);
        var key = lines[at].Split(':')[0];
        switch (random.Next(10))
        {
            case 0:
                return new(Bytes((byte[])bytes.Clone(), bytes.Length));
            case 1:
                return new(Text(Encoding.UTF8.GetString(bytes)));
            case 2:
                lines.Insert(at, random.Next(3) switch { 0 => "# of course: not", 1 => "", _ => "   " });
                random.Shuffle(System.Runtime.InteropServices.CollectionsMarshal.AsSpan(lines));
                return new(Encoding.UTF8.GetBytes(string.Join(random.Next(2) == 0 ? "\n" : "\r\n", lines)), IsHarmless: true);
            case 3:
                lines.Insert(random.Next(lines.Count), random.Next(2) == 0 ? lines[at] : $"{key}: {YamlValues[random.Next(YamlValues.Length)]}");
                break;
            case 4:
                lines.Insert(at, random.Next(3) switch { 0 => "---", 1 => "...", _ => "\t" + lines[at] });
                break;
            case 5:
                lines[at] = $"{key}: {new string(random.Next(2) == 0 ? '[' : '{', random.Next(1, 20_000))}";
                break;
            case 6:
                lines[at] = key.Insert(random.Next(key.Length + 1), $"{(char)random.Next(32, 0x3000)}") + lines[at][key.Length..];
                break;
            default:
                lines[at] = $"{key}: {YamlValues[random.Next(YamlValues.Length)]}";
                break;
        }

        return new(Encoding.UTF8.GetBytes(string.Join('\n', lines) + "\n"));
    }

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
        run = Math.Min(run, bytes.Length - at);
        switch (random.Next(8))
        {
            case 0:
                return bytes[..random.Next(bytes.Length)];
            case 1:
                return [.. bytes.AsSpan(0, at), .. bytes.AsSpan(at + run)];
            case 2:
                return [.. bytes.AsSpan(0, at), .. Enumerable.Range(0, run).Select(_ => (byte)random.Next(256)), .. bytes.AsSpan(at)];
            case 3:
                random.NextBytes(bytes.AsSpan(at, run));
                return bytes;
            case 4:
                bytes.AsSpan(at, random.Next(4) == 0 ? bytes.Length - at : run).Clear();
                return bytes;
            case 5:
                return [.. bytes.AsSpan(0, at), .. NotUtf8[random.Next(NotUtf8.Length)], .. bytes.AsSpan(at)];
            case 6:
                var other = random.Next(bytes.Length - run + 1);
                var piece = bytes[at..(at + run)];
                bytes.AsSpan(other, run).CopyTo(bytes.AsSpan(at));
                piece.CopyTo(bytes.AsSpan(other));
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
        var braces = Enumerable.Range(0, text.Length).Where(place => text[place] == '{').DefaultIfEmpty(0).ToList();
        var inside = Math.Min(text.Length, braces[random.Next(2) * random.Next(braces.Count)] + 1);
        return Encoding.UTF8.GetBytes(random.Next(5) switch
        {
            0 => text.Insert(at, new string(random.Next(2) == 0 ? '[' : '{', random.Next(1, 20_000))),
            1 => text + text,
            2 => text.Replace(':', random.Next(2) == 0 ? ',' : '='),
            3 => text.Insert(inside, string.Concat(Enumerable.Repeat("\"deep\":{", random.Next(1, 2000)))),
            // Mostly a key that is there already.
            _ => text.Insert(inside, $"\"{Key(text, inside)}\":{Values[random.Next(Values.Length)]},"),
        });
    }

    /// <summary>The first key after a place.</summary>
    private static string Key(string text, int at)
    {
        var begin = text.IndexOf('"', at) + 1;
        var end = begin == 0 ? -1 : text.IndexOf('"', begin);
        return end < 0 ? "key" : text[begin..end];
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

    /// <summary>Two tensors of the header take each other's range.</summary>
    private byte[] SwapOffsets(byte[] header)
    {
        var json = JsonNode.Parse(header)!.AsObject();
        var names = json.Select(pair => pair.Key).Where(name => name != "__metadata__").ToList();
        var (one, other) = (json[names[random.Next(names.Count)]]!, json[names[random.Next(names.Count)]]!);
        var range = one["data_offsets"]!.DeepClone();
        one["data_offsets"] = other["data_offsets"]!.DeepClone();
        other["data_offsets"] = range;
        return Encoding.UTF8.GetBytes(json.ToJsonString());
    }

    /// <summary>The same values in another spelling.</summary>
    private byte[] Respell(byte[] bytes, bool mayBegin)
    {
        var json = JsonNode.Parse(bytes)!;
        var text = Encoding.UTF8.GetBytes(Shuffled(json)!.ToJsonString(new JsonSerializerOptions
        {
            WriteIndented = mayBegin && random.Next(2) == 0,
            Encoder = random.Next(2) == 0 ? JavaScriptEncoder.Default : JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }));
        return [.. mayBegin && random.Next(2) == 0 ? Encoding.UTF8.Preamble : [], .. text, .. Encoding.UTF8.GetBytes(new string(' ', random.Next(3)))];
    }

    private JsonNode? Shuffled(JsonNode? node)
    {
        if (node is JsonArray list)
        {
            return new JsonArray([.. list.Select(Shuffled)]);
        }

        if (node is not JsonObject pairs)
        {
            return node?.DeepClone();
        }

        var keys = pairs.ToArray();
        random.Shuffle(keys);
        return new JsonObject(keys.Select(pair => KeyValuePair.Create(pair.Key, Shuffled(pair.Value))));
    }
}
