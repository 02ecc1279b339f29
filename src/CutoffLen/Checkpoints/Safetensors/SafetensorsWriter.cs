using System.Buffers.Binary;
using System.Text.Json;
using CutoffLen.Common;
using CutoffLen.Files;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Safetensors;

/// <summary>A tensor of a file, read piece by piece while it is written.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Dtype">The type to store.</param>
/// <param name="Read">Gives elements from an index on, so many, in the current scope.</param>
internal sealed record StoredTensor(string Name, long[] Shape, ScalarType Dtype, Func<long, long, Tensor> Read)
{
    /// <summary>The number of elements.</summary>
    public long Count => Shape.Aggregate(1L, (a, b) => a * b);

    /// <summary>Bytes in the file.</summary>
    public long Bytes => Count * SafetensorsHeader.Describe(Dtype).Bytes;
}

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
            Write(file.Stream, Stored(tensors, dtype), metadata);
            file.Commit();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: cannot be written: {fault.Message}", fault);
        }
    }

    /// <summary>Writes the file under its own name, for folders that are replaced as a whole.</summary>
    internal static void WriteInPlace(string path, IReadOnlyList<(string Name, Tensor Tensor)> tensors, ScalarType? dtype) =>
        WriteInPlace(path, Stored(tensors, dtype));

    /// <summary>The same from tensors that are read while they are written.</summary>
    internal static void WriteInPlace(string path, IReadOnlyList<StoredTensor> tensors)
    {
        using var file = new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        Write(file, tensors);
        file.Flush(flushToDisk: true);
    }

    /// <summary>Writes to a stream.</summary>
    internal static void Write(Stream file, IReadOnlyList<StoredTensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        file.Write(Header(tensors, metadata ?? MadeForTorch));
        foreach (var tensor in tensors)
        {
            WriteTensor(file, tensor);
        }
    }

    /// <summary>Bytes of the tensor in a file written with this dtype.</summary>
    internal static long StoredBytes(Tensor tensor, ScalarType? dtype) =>
        tensor.numel() * SafetensorsHeader.Describe(StoredAs(tensor, dtype)).Bytes;

    private static List<StoredTensor> Stored(IReadOnlyList<(string Name, Tensor Tensor)> tensors, ScalarType? dtype) =>
    [
        .. tensors.Select(named => new StoredTensor(
            named.Name, named.Tensor.shape, StoredAs(named.Tensor, dtype), (at, count) => named.Tensor.detach().reshape(-1).narrow(0, at, count))),
    ];

    private static ScalarType StoredAs(Tensor tensor, ScalarType? dtype) =>
        tensor.is_floating_point() ? dtype ?? tensor.dtype : tensor.dtype;

    private static byte[] Header(IReadOnlyList<StoredTensor> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        using var header = new MemoryStream();
        header.Write(stackalloc byte[sizeof(long)]);
        using (var json = new Utf8JsonWriter(header))
        {
            json.WriteStartObject();
            json.WritePropertyName("__metadata__");
            JsonSerializer.Serialize(json, metadata);
            var offset = 0L;
            foreach (var tensor in tensors)
            {
                var end = offset + tensor.Bytes;
                WriteEntry(json, tensor.Name, SafetensorsHeader.Describe(tensor.Dtype).Name, tensor.Shape, offset, end);
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

    private static void WriteTensor(Stream file, StoredTensor tensor)
    {
        using var _ = no_grad();
        var step = PieceBytes / SafetensorsHeader.Describe(tensor.Dtype).Bytes;
        for (var at = 0L; at < tensor.Count; at += step)
        {
            using var scope = NewDisposeScope();
            file.Write(tensor.Read(at, Math.Min(step, tensor.Count - at)).to(tensor.Dtype, CPU).bytes);
        }
    }
}
