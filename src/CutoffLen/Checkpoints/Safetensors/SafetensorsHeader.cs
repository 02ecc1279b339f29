using System.Buffers.Binary;
using CutoffLen.Common;
using CutoffLen.Files;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Safetensors;

/// <summary>One tensor of a safetensors file.</summary>
/// <param name="Name">Its name, for example "model.embed_tokens.weight".</param>
/// <param name="Dtype">Type of the stored elements.</param>
/// <param name="Shape">Dimensions; none for a scalar.</param>
/// <param name="Offset">Bytes from the start of the file to the first element.</param>
/// <param name="Bytes">Bytes of the whole tensor.</param>
public sealed record SafetensorsEntry(string Name, ScalarType Dtype, long[] Shape, long Offset, long Bytes);

/// <summary>
/// The header of a safetensors file (https://github.com/huggingface/safetensors, "Format"): 8 bytes of header length,
/// little-endian; that many bytes of JSON, name to dtype, shape and data_offsets; then the tensors' bytes without
/// a gap. All of it is checked here, so that nothing read later can point outside the file.
/// </summary>
internal static class SafetensorsHeader
{
    /// <summary>The format's own limit on the JSON part (bytes).</summary>
    public const int MaxHeaderBytes = 100_000_000;

    /// <summary>Tensors in one file; keeps what a file of nothing but names takes in memory bounded.</summary>
    public const int MaxTensors = 100_000;

    private const int LengthBytes = 8;

    /// <summary>Reads and checks the header of the file at <paramref name="path"/>.</summary>
    /// <returns>The tensors in the order of their bytes, and the file's own "__metadata__".</returns>
    /// <exception cref="UserException">The file breaks the format or uses a dtype that is not supported.</exception>
    public static (IReadOnlyList<SafetensorsEntry> Tensors, IReadOnlyDictionary<string, string> Metadata) Read(string path)
    {
        try
        {
            var length = JsonFile.LengthOf(path);
            if (length < LengthBytes)
            {
                throw new UserException($"{path}: {length} bytes are too few for a safetensors file; was the download cut off?");
            }

            using var file = File.OpenHandle(path);
            var json = ReadJson(file, length, path);
            return new SafetensorsHeaderParser(path, LengthBytes + json.Length, length).Parse(json);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: cannot be read: {fault.Message}", fault);
        }
    }

    private static byte[] ReadJson(Microsoft.Win32.SafeHandles.SafeFileHandle file, long fileLength, string path)
    {
        Span<byte> prefix = stackalloc byte[LengthBytes];
        ReadFully(file, prefix, 0, path);
        if (prefix.SequenceEqual("version "u8))
        {
            throw new UserException($"{path}: a Git LFS pointer, not the file itself; fetch it with: git lfs pull");
        }

        var headerLength = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        if (headerLength > (ulong)Math.Min(fileLength - LengthBytes, MaxHeaderBytes))
        {
            throw new UserException(
                $"{path}: the first 8 bytes announce a header of {headerLength} bytes, but the file has "
                + $"{fileLength} and a header at most {MaxHeaderBytes}; not a safetensors file, or damaged");
        }

        var json = new byte[headerLength];
        ReadFully(file, json, LengthBytes, path);
        return json;
    }

    /// <summary>Fills the buffer from the file, or says that the file ended.</summary>
    public static void ReadFully(Microsoft.Win32.SafeHandles.SafeFileHandle file, Span<byte> buffer, long offset, string path)
    {
        for (var read = 0; read < buffer.Length;)
        {
            var got = RandomAccess.Read(file, buffer[read..], offset + read);
            read += got > 0 ? got : throw new UserException($"{path}: ends at byte {offset + read}; was it cut while in use?");
        }
    }

    /// <summary>The format's name of a dtype and the bytes of an element.</summary>
    public static (string Name, int Bytes) Describe(ScalarType dtype) => dtype switch
    {
        ScalarType.BFloat16 => ("BF16", 2),
        ScalarType.Float16 => ("F16", 2),
        ScalarType.Float32 => ("F32", 4),
        ScalarType.Float64 => ("F64", 8),
        ScalarType.Int64 => ("I64", 8),
        ScalarType.Int32 => ("I32", 4),
        ScalarType.Byte => ("U8", 1),
        _ => throw new ArgumentException($"safetensors files here hold no {dtype}", nameof(dtype)),
    };

    /// <summary>The dtype of a name in a header, or null when it is not supported.</summary>
    public static ScalarType? Dtype(string? name) => name switch
    {
        "BF16" => ScalarType.BFloat16,
        "F16" => ScalarType.Float16,
        "F32" => ScalarType.Float32,
        "F64" => ScalarType.Float64,
        "I64" => ScalarType.Int64,
        "I32" => ScalarType.Int32,
        "U8" => ScalarType.Byte,
        _ => null,
    };
}
