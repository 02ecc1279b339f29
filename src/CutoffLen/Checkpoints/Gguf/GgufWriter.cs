using CutoffLen.Common;
using CutoffLen.Files;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>A tensor of a GGUF file, read when it is written.</summary>
/// <param name="Name">llama.cpp's name.</param>
/// <param name="Shape">Its shape as torch has it; a file has it reversed.</param>
/// <param name="Type">How it is stored.</param>
/// <param name="Read">Gives it in float32 on the CPU.</param>
internal sealed record GgufTensor(string Name, long[] Shape, GgufType Type, Func<Tensor> Read)
{
    /// <summary>Bytes in the file, without padding.</summary>
    public long Bytes => Type.Bytes(Shape.Aggregate(1L, (a, b) => a * b));
}

/// <summary>
/// Writes GGUF files, version 3 (docs/gguf.md in ggml-org/ggml): metadata, names and places of the tensors, then their numbers, each tensor from a
/// multiple of 32 bytes on. Memory holds one tensor.
/// </summary>
internal static class GgufWriter
{
    /// <summary>Tensors begin at multiples of it, where general.alignment does not say otherwise (GGUF_DEFAULT_ALIGNMENT).</summary>
    public const int Alignment = 32;

    private const int Version = 3;
    private const int PieceNumbers = 4 << 20;

    /// <summary>Writes one file, whole or not at all.</summary>
    /// <exception cref="UserException">The file system refuses.</exception>
    public static void Write(string path, GgufMetadata metadata, IReadOnlyList<GgufTensor> tensors, CancellationToken stop)
    {
        try
        {
            using var file = new AtomicFile(path, bufferBytes: 0);
            file.Stream.Write(Header(metadata, tensors));
            foreach (var tensor in tensors)
            {
                stop.ThrowIfCancellationRequested();
                WriteTensor(file.Stream, tensor);
            }

            file.Commit();
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{path}: cannot be written: {fault.Message}", fault);
        }
    }

    private static byte[] Header(GgufMetadata metadata, IReadOnlyList<GgufTensor> tensors)
    {
        using var header = new MemoryStream();
        using var writer = new BinaryWriter(header);
        writer.Write("GGUF"u8);
        writer.Write(Version);
        writer.Write((ulong)tensors.Count);
        writer.Write((ulong)metadata.Count);
        writer.Write(metadata.Bytes);
        var offset = 0L;
        foreach (var tensor in tensors)
        {
            GgufMetadata.Write(writer, tensor.Name);
            writer.Write(tensor.Shape.Length);
            foreach (var size in tensor.Shape.Reverse())
            {
                writer.Write(size);
            }

            writer.Write((int)tensor.Type);
            writer.Write(offset);
            offset += tensor.Bytes + Padding(tensor.Bytes);
        }

        writer.Write(new byte[Padding(header.Length)]);
        return header.ToArray();
    }

    private static void WriteTensor(FileStream file, GgufTensor tensor)
    {
        using var scope = NewDisposeScope();
        var flat = tensor.Read().reshape(-1);
        for (var at = 0L; at < flat.NumberOfElements; at += PieceNumbers)
        {
            using var piece = NewDisposeScope();
            file.Write(tensor.Type.Encode(flat.narrow(0, at, Math.Min(PieceNumbers, flat.NumberOfElements - at)), tensor.Name));
        }

        file.Write(new byte[Padding(tensor.Bytes)]);
    }

    private static long Padding(long bytes) => (Alignment - (bytes % Alignment)) % Alignment;
}
