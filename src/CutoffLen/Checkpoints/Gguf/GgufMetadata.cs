using System.Text;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>The metadata of a GGUF file, keys and values in the order they are added.</summary>
internal sealed class GgufMetadata : IDisposable
{
    private readonly BinaryWriter writer = new(new MemoryStream());

    // gguf_type of ggml's gguf.h.
    private enum Kind
    {
        UInt32 = 4,
        Int32 = 5,
        Float32 = 6,
        Bool = 7,
        Text = 8,
        List = 9,
    }

    /// <summary>How many keys.</summary>
    public int Count { get; private set; }

    /// <summary>As a file has it.</summary>
    public ReadOnlySpan<byte> Bytes => ((MemoryStream)writer.BaseStream).ToArray();

    /// <summary>A text as a file has it: the length in bytes, then UTF-8.</summary>
    public static void Write(BinaryWriter writer, string text)
    {
        var utf8 = Encoding.UTF8.GetBytes(text);
        writer.Write((ulong)utf8.Length);
        writer.Write(utf8);
    }

    /// <summary>A text.</summary>
    public void Add(string key, string value)
    {
        Begin(key, Kind.Text);
        Write(writer, value);
    }

    /// <summary>A count or an id, at least 0.</summary>
    public void Add(string key, int value)
    {
        Begin(key, Kind.UInt32);
        writer.Write(checked((uint)value));
    }

    /// <summary>A number.</summary>
    public void Add(string key, float value)
    {
        Begin(key, Kind.Float32);
        writer.Write(value);
    }

    /// <summary>A flag.</summary>
    public void Add(string key, bool value)
    {
        Begin(key, Kind.Bool);
        writer.Write(value);
    }

    /// <summary>Texts.</summary>
    public void Add(string key, IReadOnlyCollection<string> values) => AddList(key, Kind.Text, values, value => Write(writer, value));

    /// <summary>Numbers.</summary>
    public void Add(string key, IReadOnlyCollection<float> values) => AddList(key, Kind.Float32, values, writer.Write);

    /// <summary>Whole numbers.</summary>
    public void Add(string key, IReadOnlyCollection<int> values) => AddList(key, Kind.Int32, values, writer.Write);

    /// <inheritdoc/>
    public void Dispose() => writer.Dispose();

    private void AddList<T>(string key, Kind kind, IReadOnlyCollection<T> values, Action<T> write)
    {
        Begin(key, Kind.List);
        writer.Write((uint)kind);
        writer.Write((ulong)values.Count);
        foreach (var value in values)
        {
            write(value);
        }
    }

    private void Begin(string key, Kind kind)
    {
        Write(writer, key);
        writer.Write((uint)kind);
        Count++;
    }
}
