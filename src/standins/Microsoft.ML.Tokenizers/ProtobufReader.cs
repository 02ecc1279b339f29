using System.Buffers.Binary;
using System.Text;

namespace Microsoft.ML.Tokenizers;

/// <summary>How a protobuf field is written.</summary>
internal enum WireType
{
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
    GroupStart = 3,
    GroupEnd = 4,
    Fixed32 = 5,
}

/// <summary>Reads the fields of one protobuf message (https://protobuf.dev/programming-guides/encoding/).</summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message)
{
    private ReadOnlySpan<byte> rest = message;

    /// <summary>Goes to the next field; null at the end.</summary>
    public (int Field, WireType Type)? Next()
    {
        if (rest.IsEmpty)
            return null;
        var tag = Varint();
        var (field, type) = ((int)(tag >> 3 & 0x1FFFFFFF), (WireType)(tag & 7));
        if (field == 0 || type > WireType.Fixed32)
            throw Malformed($"no field has the tag {tag}");
        return (field, type);
    }

    public ulong Varint()
    {
        ulong value = 0;
        for (var shift = 0; shift < 70; shift += 7)
        {
            var part = Take(1)[0];
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80)
                return value;
        }
        throw Malformed("an integer has more than ten bytes");
    }

    public float Single() => BinaryPrimitives.ReadSingleLittleEndian(Take(4));

    public ReadOnlySpan<byte> Bytes() => Take(Varint());

    public string Text() => Encoding.UTF8.GetString(Bytes());

    /// <summary>Passes over a field's value.</summary>
    public void Skip(WireType type)
    {
        var depth = 0;
        while (true)
        {
            switch (type)
            {
                case WireType.Varint: Varint(); break;
                case WireType.Fixed64: Take(8); break;
                case WireType.Bytes: Bytes(); break;
                case WireType.Fixed32: Take(4); break;
                case WireType.GroupStart: depth++; break;
                case WireType.GroupEnd when depth > 0: depth--; break;
                default: throw Malformed("a group ends that did not begin");
            }
            if (depth == 0)
                return;
            type = Next()?.Type ?? throw Malformed("a group does not end");
        }
    }

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)rest.Length)
            throw Malformed($"{count} bytes are announced where {rest.Length} are left");
        var taken = rest[..(int)count];
        rest = rest[(int)count..];
        return taken;
    }

    // The package throws a kind of IOException too.
    private static IOException Malformed(string what) => new($"The model is not a valid protobuf message: {what}.");
}
