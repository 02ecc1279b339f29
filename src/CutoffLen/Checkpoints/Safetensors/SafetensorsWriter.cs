using System.Buffers.Binary;
using System.Text.Json;
using CutoffLen.Common;
using CutoffLen.Files;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Safetensors;

/// <summary>Writes safetensors files, tensor by tensor and each in pieces, from any device and in any dtype asked for.</summary>
public static class SafetensorsWriter
{
    private const int PieceBytes = 16 << 20;
    private const int Alignment = 8;

    private static readonly IReadOnlyDictionary<string, string> MadeForTorch = new Dictionary<string, string> { ["format"] = "pt" };

    /// <summary>Writes one file, whole or not at all.</summary>
    /// <param name="path">The file to create or replace.</param>
    /// <param name="tensors">Names and tensors, written in this order.</param>
    /// <param name="dtype">Element type to convert floating point tensors to; null to keep each one's own.</param>
    /// <param name="metadata">The file's "__metadata__"; Hugging Face's {"format": "pt"} by default.</param>
    public static void Write(
        string path,
        IReadOnlyList<(string Name, Tensor Tensor)> tensors,
        ScalarType? dtype = null,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        try
        {
            using var file = new AtomicFile(path, bufferBytes: 0);
            Write(file.Stream, tensors, dtype, metadata);
            file.Commit();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: cannot be written: {fault.Message}", fault);
        }
    }

    /// <summary>Writes the file under its own name, for folders that are replaced as a whole.</summary>
    internal static void WriteInPlace(
        string path,
        IReadOnlyList<(string Name, Tensor Tensor)> tensors,
        ScalarType? dtype,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        Write(file, tensors, dtype, metadata);
        file.Flush(flushToDisk: true);
    }

    private static void Write(
        FileStream file, IReadOnlyList<(string Name, Tensor Tensor)> tensors, ScalarType? dtype, IReadOnlyDictionary<string, string>? metadata)
    {
        file.Write(Header(tensors, dtype, metadata ?? MadeForTorch));
        foreach (var (_, tensor) in tensors)
        {
            WriteTensor(file, tensor, StoredAs(tensor, dtype));
        }
    }

    /// <summary>Bytes of the tensor in a file written with this dtype.</summary>
    internal static long StoredBytes(Tensor tensor, ScalarType? dtype) =>
        tensor.numel() * SafetensorsHeader.Describe(StoredAs(tensor, dtype)).Bytes;

    private static ScalarType StoredAs(Tensor tensor, ScalarType? dtype) =>
        tensor.is_floating_point() ? dtype ?? tensor.dtype : tensor.dtype;

    private static byte[] Header(
        IReadOnlyList<(string Name, Tensor Tensor)> tensors, ScalarType? dtype, IReadOnlyDictionary<string, string> metadata)
    {
        using var header = new MemoryStream();
        header.Write(stackalloc byte[sizeof(long)]);
        using (var json = new Utf8JsonWriter(header))
        {
            json.WriteStartObject();
            json.WritePropertyName("__metadata__");
            JsonSerializer.Serialize(json, metadata);
            var offset = 0L;
            foreach (var (name, tensor) in tensors)
            {
                var end = offset + StoredBytes(tensor, dtype);
                WriteEntry(json, name, SafetensorsHeader.Describe(StoredAs(tensor, dtype)).Name, tensor.shape, offset, end);
                offset = end;
            }

            json.WriteEndObject();
        }

        while (header.Length % Alignment != 0)
        {
            header.WriteByte((byte)' ');
        }

        var bytes = header.ToArray();
        BinaryPrimitives.WriteInt64LittleEndian(bytes, bytes.Length - sizeof(long));
        return bytes;
    }

    private static void WriteEntry(Utf8JsonWriter json, string name, string dtype, long[] shape, long begin, long end)
    {
        json.WriteStartObject(name);
        json.WriteString("dtype", dtype);
        json.WriteStartArray("shape");
        foreach (var size in shape)
        {
            json.WriteNumberValue(size);
        }

        json.WriteEndArray();
        json.WriteStartArray("data_offsets");
        json.WriteNumberValue(begin);
        json.WriteNumberValue(end);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteTensor(FileStream file, Tensor tensor, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var flat = tensor.detach().reshape(-1);
        var step = PieceBytes / SafetensorsHeader.Describe(dtype).Bytes;
        for (var at = 0L; at < flat.shape[0]; at += step)
        {
            var piece = flat.narrow(0, at, Math.Min(step, flat.shape[0] - at)).to(dtype, CPU);
            file.Write(piece.bytes);
            piece.Dispose();
        }
    }
}
