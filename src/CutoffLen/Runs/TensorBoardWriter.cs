using System.Buffers.Binary;
using CutoffLen.Common;
using Google.Protobuf;
using Tensorboard;

namespace CutoffLen.Runs;

/// <summary>
/// Writes scalars to a TensorBoard event file: Event messages in TFRecord frames (tensorflow/core/lib/io/record_writer).
/// A resumed run opens another file in the same folder; TensorBoard joins them. Each call leaves whole records on disk.
/// TorchSharp's SummaryWriter is not used, because it writes wrong times.
/// </summary>
public sealed class TensorBoardWriter : IDisposable
{
    private readonly FileStream file;
    private readonly TimeProvider clock;

    /// <summary>Creates a new event file in the folder, which is made if missing.</summary>
    /// <exception cref="UserException">The file cannot be created.</exception>
    public TensorBoardWriter(string folder, TimeProvider? clock = null)
    {
        this.clock = clock ?? TimeProvider.System;
        var stamp = this.clock.GetUtcNow().ToUnixTimeSeconds();
        Path = System.IO.Path.Combine(folder, $"events.out.tfevents.{stamp:D10}.{Environment.MachineName}.{Environment.ProcessId}.0");
        try
        {
            Directory.CreateDirectory(folder);
            file = new FileStream(Path, FileMode.Append, FileAccess.Write, FileShare.Read);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{Path}: cannot write TensorBoard events: {fault.Message}", fault);
        }

        // The first record of every event file names the format's version.
        WriteRecord(new Event { FileVersion = "brain.Event:2" });
    }

    /// <summary>The file's path.</summary>
    public string Path { get; }

    /// <summary>Records the values of a step under their tags, such as <c>train/loss</c>.</summary>
    public void Write(long step, IEnumerable<KeyValuePair<string, double>> scalars)
    {
        var values = scalars.Select(scalar => new Summary.Types.Value { Tag = scalar.Key, SimpleValue = (float)scalar.Value });
        WriteRecord(new Event { Step = step, Summary = new Summary { Value = { values } } });
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    /// <summary>The checksum of a frame: a CRC-32C rotated and shifted, so that a CRC of CRCs stays sound.</summary>
    internal static uint MaskedCrc(ReadOnlySpan<byte> bytes)
    {
        var crc = Crc32C.Of(bytes);
        return unchecked(((crc >> 15) | (crc << 17)) + 0xA282EAD8);
    }

    // A frame, little-endian: length (8 bytes), masked CRC of the length, data, masked CRC of the data.
    // One write call a frame, so that a reader of a live run never sees half of one.
    private void WriteRecord(Event record)
    {
        record.WallTime = (clock.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
        var data = record.ToByteArray();
        var frame = new byte[data.Length + 16];
        BinaryPrimitives.WriteInt64LittleEndian(frame, data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(8), MaskedCrc(frame.AsSpan(0, 8)));
        data.CopyTo(frame.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(12 + data.Length), MaskedCrc(data));
        file.Write(frame);
        file.Flush();
    }
}
