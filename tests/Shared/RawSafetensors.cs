using System.Buffers.Binary;
using System.Text;

namespace CutoffLen.Tests;

/// <summary>Safetensors files written byte by byte, right or wrong.</summary>
internal static class RawSafetensors
{
    /// <summary>A file of this header, with its true length in front, and this data.</summary>
    public static byte[] File(string header, byte[] data) => File(Encoding.UTF8.GetBytes(header), data);

    /// <summary>A file of this header, with its true length in front, and this data.</summary>
    public static byte[] File(byte[] header, byte[] data)
    {
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);
        return [.. length, .. header, .. data];
    }

    /// <summary>A header of one tensor "a".</summary>
    public static string Header(string dtype, string shape, long begin, long end) =>
        $$$"""{"a":{"dtype":"{{{dtype}}}","shape":{{{shape}}},"data_offsets":[{{{begin}}},{{{end}}}]}}""";
}
