using System.Buffers.Binary;

namespace CutoffLen.Tokenization;

/// <summary>The fields of one protocol buffer message, in order; every length is checked against the bytes there are.</summary>
/// <param name="bytes">The message.</param>
internal ref struct ProtobufFields(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> rest = bytes;

    /// <summary>The number of the current field.</summary>
    public int Number { get; private set; }

    /// <summary>The current field as a number: a varint as it is, fixed ones as their bits.</summary>
    public ulong Value { get; private set; }

    /// <summary>The current field's bytes, when it is of the kind that has a length.</summary>
    public ReadOnlySpan<byte> Bytes { get; private set; }

    /// <summary>Goes to the next field.</summary>
    /// <returns>False at the end.</returns>
    /// <exception cref="InvalidDataException">The message is cut off or damaged.</exception>
    public bool Next()
    {
        if (rest.IsEmpty)
        {
            return false;
        }

        var key = Varint();
        if (key >> 3 is 0 or > int.MaxValue)
        {
            throw new InvalidDataException("a field without a number");
        }

        (Number, Value) = ((int)(key >> 3), 0);
        Bytes = default;
        switch (key & 7)
        {
            case 0:
                Value = Varint();
                break;
            case 1:
                Value = BinaryPrimitives.ReadUInt64LittleEndian(Take(8));
                break;
            case 2:
                Bytes = Take(Varint());
                break;
            case 5:
                Value = BinaryPrimitives.ReadUInt32LittleEndian(Take(4));
                break;
            default:
                throw new InvalidDataException($"a field of the unknown wire type {key & 7}");
        }

        return true;
    }

    private ulong Varint()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var next = Take(1)[0];
            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return value;
            }
        }

        throw new InvalidDataException("a number of more than 64 bits");
    }

    private ReadOnlySpan<byte> Take(ulong count)
    {
        if (count > (ulong)rest.Length)
        {
            throw new InvalidDataException("it ends in the middle of a field");
        }

        var taken = rest[..(int)count];
        rest = rest[(int)count..];
        return taken;
    }
}
