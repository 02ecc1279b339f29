using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using CutoffLen.Common;

namespace CutoffLen.Runs;

/// <summary>
/// Writes scalars to an event file that TensorBoard shows: TFRecord frames (tensorflow/core/lib/io/record_writer) around
/// hand-encoded Event messages (tensorflow/core/util/event.proto). A resumed run opens another file in the same
/// folder; TensorBoard joins them. Each call leaves whole records on disk.
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

        // The first record of every event file names the format's version (field 3).
        WriteRecord(Event(step: null, 3, "brain.Event:2"u8));
    }

    /// <summary>The file's path.</summary>
    public string Path { get; }

    /// <summary>Records the values of a step under their tags, such as <c>train/loss</c>.</summary>
    public void Write(long step, IEnumerable<KeyValuePair<string, double>> scalars)
    {
        // Summary { repeated Value value = 1 }, Value { string tag = 1; float simple_value = 2 }
        var summary = new ProtoWriter();
        foreach (var (tag, number) in scalars)
        {
            var value = new ProtoWriter();
            value.Bytes(1, Encoding.UTF8.GetBytes(tag));
            value.Float(2, (float)number);
            summary.Bytes(1, value.Written);
        }

        WriteRecord(Event(step, 5, summary.Written));
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    /// <summary>The checksum of a frame: a CRC-32C rotated and shifted, so that a CRC of CRCs stays sound.</summary>
    internal static uint MaskedCrc(ReadOnlySpan<byte> bytes)
    {
        var crc = Crc32C.Of(bytes);
        return unchecked(((crc >> 15) | (crc << 17)) + 0xA282EAD8);
    }

    // Event { double wall_time = 1; int64 step = 2; oneof { string file_version = 3; Summary summary = 5 } }
    private ReadOnlySpan<byte> Event(long? step, int field, ReadOnlySpan<byte> content)
    {
        var message = new ProtoWriter();
        message.Double(1, (clock.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds);
        if (step is { } number)
        {
            message.Number(2, (ulong)number);
        }

        message.Bytes(field, content);
        return message.Written;
    }

    // length (8 bytes), masked CRC of the length, data, masked CRC of the data; all little-endian. One write call, so
    // that a reader never sees half a frame of a live run.
    private void WriteRecord(ReadOnlySpan<byte> data)
    {
        var frame = new byte[data.Length + 16];
        BinaryPrimitives.WriteInt64LittleEndian(frame, data.Length);
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(8), MaskedCrc(frame.AsSpan(0, 8)));
        data.CopyTo(frame.AsSpan(12));
        BinaryPrimitives.WriteUInt32LittleEndian(frame.AsSpan(12 + data.Length), MaskedCrc(data));
        file.Write(frame);
        file.Flush();
    }

    /// <summary>The few wire types of protocol buffers that an event needs.</summary>
    private sealed class ProtoWriter
    {
        private readonly List<byte> bytes = [];

        public ReadOnlySpan<byte> Written => CollectionsMarshal.AsSpan(bytes);

        public void Number(int field, ulong value)
        {
            Varint((ulong)field << 3);
            Varint(value);
        }

        public void Double(int field, double value)
        {
            Varint(((ulong)field << 3) | 1);
            Span<byte> fixed64 = stackalloc byte[sizeof(double)];
            BinaryPrimitives.WriteDoubleLittleEndian(fixed64, value);
            bytes.AddRange(fixed64);
        }

        public void Float(int field, float value)
        {
            Varint(((ulong)field << 3) | 5);
            Span<byte> fixed32 = stackalloc byte[sizeof(float)];
            BinaryPrimitives.WriteSingleLittleEndian(fixed32, value);
            bytes.AddRange(fixed32);
        }

        public void Bytes(int field, ReadOnlySpan<byte> value)
        {
            Varint(((ulong)field << 3) | 2);
            Varint((ulong)value.Length);
            bytes.AddRange(value);
        }

        private void Varint(ulong value)
        {
            for (; value >= 0x80; value >>= 7)
            {
                bytes.Add((byte)(value | 0x80));
            }

            bytes.Add((byte)value);
        }
    }
}
