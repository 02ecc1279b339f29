using System.Numerics;
using System.Runtime.InteropServices;

namespace CutoffLen.Common;

/// <summary>
/// CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected, initial value and final complement all ones; RFC 3720
/// appendix B.4), in hardware where the processor has it. Spans appended one after another have the checksum of their
/// concatenation.
/// </summary>
public struct Crc32C
{
    private uint value;

    /// <summary>The checksum of all bytes appended so far; 0 before the first.</summary>
    public readonly uint Value => value;

    /// <summary>The checksum of one span.</summary>
    public static uint Of(ReadOnlySpan<byte> bytes)
    {
        var crc = default(Crc32C);
        crc.Append(bytes);
        return crc.Value;
    }

    /// <summary>Takes further bytes into the checksum.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        var crc = ~value;
        var words = MemoryMarshal.Cast<byte, ulong>(bytes);
        foreach (var word in words)
        {
            crc = BitOperations.Crc32C(crc, word);
        }

        foreach (var last in bytes[(words.Length * sizeof(ulong))..])
        {
            crc = BitOperations.Crc32C(crc, last);
        }

        value = ~crc;
    }
}
