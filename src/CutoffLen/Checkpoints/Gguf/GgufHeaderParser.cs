using System.Globalization;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>
/// Parses the header of one GGUF file, versions 2 and 3 (docs/gguf.md in ggml-org/ggml), and checks all of it against the file's length, so that nothing
/// read later can point outside the file. No memory is taken for what a file only claims to hold.
/// </summary>
internal sealed class GgufHeaderParser(string path, BinaryReader reader, long length)
{
    private const int MaxKeys = 100_000;
    private const int MaxDimensions = 4; // GGML_MAX_DIMS
    private const uint TextKind = 8;
    private const uint ListKind = 9;

    // Bytes of a value of each gguf_type, at least.
    private static readonly int[] KindBytes = [1, 1, 2, 2, 4, 4, 4, 1, sizeof(ulong), 0, 8, 8, 8];

    private readonly Dictionary<string, object> values = new(StringComparer.Ordinal);

    private long Left => length - reader.BaseStream.Position;

    /// <summary>The keys, and the tensors in the order of their bytes. The reader stands behind the header then.</summary>
    public (IReadOnlyDictionary<string, object> Values, IReadOnlyList<GgufEntry> Tensors) Read()
    {
        if (!reader.ReadBytes(4).AsSpan().SequenceEqual("GGUF"u8))
        {
            throw Fault("not a GGUF file, it does not begin with GGUF");
        }

        if (reader.ReadUInt32() is not (2 or 3) and var version)
        {
            throw Fault($"GGUF version {version}; versions 2 and 3 of little-endian machines are read");
        }

        var tensors = Count("tensors", SafetensorsHeader.MaxTensors);
        for (var keys = Count("keys", MaxKeys); keys > 0; keys--)
        {
            var key = Text();
            if (!values.TryAdd(key, ReadValue(key, reader.ReadUInt32())))
            {
                throw Fault($"the key {JsonFile.Show(key)} is given twice");
            }
        }

        var alignment = values.GetValueOrDefault("general.alignment", (long)GgufWriter.Alignment);
        if (alignment is not (long and > 0 and <= 1 << 20 and var bytes) || !long.IsPow2(bytes))
        {
            throw Fault($"general.alignment is {alignment}; allowed are powers of 2 up to {1 << 20}");
        }

        var entries = new List<GgufEntry>();
        for (; tensors > 0; tensors--)
        {
            entries.Add(ReadEntry());
        }

        return (values, InOrder(entries, bytes));
    }

    private UserException Fault(string what) => new($"{path}: {what}");

    private UserException Fault(string tensor, string what) => Fault($"tensor {JsonFile.Show(tensor)} {what}");

    private int Count(string of, long most)
    {
        var count = reader.ReadUInt64();
        return count <= (ulong)most ? (int)count : throw Fault($"announces {count} {of}, more than the file can hold; was the download cut off?");
    }

    private string Text() => StrictUtf8.Encoding.GetString(reader.ReadBytes(Count("bytes of a text", Math.Min(Left, Array.MaxLength))));

    private object ReadValue(string key, uint kind) => kind switch
    {
        0 => (long)reader.ReadByte(),
        1 => (long)reader.ReadSByte(),
        2 => (long)reader.ReadUInt16(),
        3 => (long)reader.ReadInt16(),
        4 => (long)reader.ReadUInt32(),
        5 => (long)reader.ReadInt32(),
        6 => GgufTypes.Decimal(reader.ReadSingle()),
        7 => reader.ReadByte() is (0 or 1) and var flag ? flag == 1 : throw Fault($"{JsonFile.Show(key)} is neither true nor false"),
        TextKind => Text(),
        ListKind => ReadList(key, reader.ReadUInt32()),
        10 or 11 => reader.ReadInt64(), // the highest bit is not in use
        12 => reader.ReadDouble(),
        _ => throw Fault($"{JsonFile.Show(key)} has a value of type {kind}, which GGUF does not have"),
    };

    private object ReadList(string key, uint kind)
    {
        if (kind >= KindBytes.Length || kind == ListKind)
        {
            throw Fault($"{JsonFile.Show(key)} is a list of values of type {kind}; lists of numbers and of texts are read");
        }

        var count = Count($"values of {JsonFile.Show(key)}", Math.Min(Left / KindBytes[kind], Array.MaxLength / sizeof(double)));
        return kind == TextKind ? ListOf(count, Text) : ListOf(count, () => Convert.ToDouble(ReadValue(key, kind), CultureInfo.InvariantCulture));
    }

    private static T[] ListOf<T>(int count, Func<T> read)
    {
        var list = new T[count];
        for (var at = 0; at < count; at++)
        {
            list[at] = read();
        }

        return list;
    }

    private GgufEntry ReadEntry()
    {
        var name = Text();
        var dimensions = reader.ReadUInt32();
        if (dimensions is 0 or > MaxDimensions)
        {
            throw Fault(name, $"has {dimensions} dimensions; allowed are 1 to {MaxDimensions}");
        }

        var shape = new long[dimensions];
        var numbers = (Int128)1;
        for (var at = shape.Length - 1; at >= 0; at--)
        {
            shape[at] = reader.ReadInt64();
            numbers *= shape[at];
            if (shape[at] < 1 || numbers > length) // a number takes a byte at least
            {
                throw Fault(name, $"has {shape[at]} as a dimension, which is none, or more than the file can hold");
            }
        }

        var type = reader.ReadUInt32();
        return !Enum.IsDefined((GgufType)type) ? throw Fault(name, $"is {GgufTypes.NameOf(type)}, which is not read; f32, f16, bf16 and q8_0 are")
            : type == (uint)GgufType.Q8 && shape[^1] % GgufTypes.BlockSize != 0
            ? throw Fault(name, $"is q8_0 with rows of {shape[^1]} numbers, which are no whole blocks of {GgufTypes.BlockSize}")
            : new GgufEntry(name, shape, (GgufType)type, reader.ReadInt64());
    }

    /// <summary>The tensors with offsets from the start of the file. As llama.cpp demands, each begins behind the one before it, at the next multiple of the alignment.</summary>
    private List<GgufEntry> InOrder(List<GgufEntry> entries, long alignment)
    {
        long Aligned(long bytes) => (bytes + alignment - 1) / alignment * alignment;
        var begin = Aligned(reader.BaseStream.Position);
        var (end, names, ordered) = (begin, new HashSet<string>(StringComparer.Ordinal), new List<GgufEntry>(entries.Count));
        foreach (var entry in entries.OrderBy(entry => entry.Offset))
        {
            if (!names.Add(entry.Name))
            {
                throw Fault(entry.Name, "is there twice");
            }

            if (entry.Offset != end - begin)
            {
                throw Fault(entry.Name, $"begins at byte {entry.Offset} of the tensors, not at {end - begin} behind the one before it");
            }

            if (entry.Bytes > length - end)
            {
                throw Fault(entry.Name, $"has {entry.Bytes} bytes, of which the file has {Math.Max(0, length - end)}; was the download cut off?");
            }

            ordered.Add(entry with { Offset = end });
            end = Aligned(end + entry.Bytes);
        }

        return ordered;
    }
}
