using System.Buffers.Binary;
using System.Text;
using CutoffLen.Common;
using CutoffLen.Runs;

namespace CutoffLen.Tests.Training;

public sealed class TensorBoardWriterTests
{
    [Fact]
    public void What_is_written_parses_back()
    {
        using var folder = new TemporaryFolder();
        string path;
        using (var writer = new TensorBoardWriter(folder["logs"], new FixedClock()))
        {
            path = writer.Path;
            writer.Write(1, new Dictionary<string, double> { ["train/loss"] = 2.5, ["train/lr"] = 3e-4 });
            writer.Write(300, new Dictionary<string, double> { ["train/loss"] = double.NaN });
            writer.Write(5_000_000_000, new Dictionary<string, double>());
        }

        var events = Records(File.ReadAllBytes(path)).Select(Event.Parse).ToList();

        Assert.Matches(@"events\.out\.tfevents\.1700000000\.", Path.GetFileName(path));
        Assert.Equal(4, events.Count);
        Assert.Equal("brain.Event:2", events[0].Version);
        Assert.All(events, e => Assert.Equal(1_700_000_000.25, e.WallTime));
        Assert.Equal([0, 1, 300, 5_000_000_000], events.Select(e => e.Step));
        Assert.Equal([("train/loss", 2.5f), ("train/lr", 3e-4f)], events[1].Scalars);
        Assert.True(float.IsNaN(events[2].Scalars.Single().Value));
        Assert.Empty(events[3].Scalars);
    }

    [Fact]
    public void A_record_is_on_disk_when_the_call_returns()
    {
        using var folder = new TemporaryFolder();
        using var writer = new TensorBoardWriter(folder.Root);
        writer.Write(1, new Dictionary<string, double> { ["a"] = 1 });
        using var reader = new FileStream(writer.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        var bytes = new byte[reader.Length];
        reader.ReadExactly(bytes);
        Assert.Equal(2, Records(bytes).Count());
    }

    [Fact]
    public void The_checksum_is_masked_as_TFRecord_asks()
    {
        // crc32c("123456789") = 0xE3069283: rotated right by 15 and 0xA282EAD8 added, by hand.
        Assert.Equal(unchecked(0x2507C60Du + 0xA282EAD8u), TensorBoardWriter.MaskedCrc("123456789"u8));

        // Every event file that TensorFlow writes begins with a record of 24 bytes: 18 00 .. 00, a3 7f 4b 22.
        Assert.Equal(0x224B7FA3u, TensorBoardWriter.MaskedCrc([0x18, 0, 0, 0, 0, 0, 0, 0]));
    }

    [Fact]
    public void A_folder_that_cannot_be_made_is_the_users_error()
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("file", "");
        Assert.Contains(file, Assert.Throws<UserException>(() => new TensorBoardWriter(Path.Combine(file, "logs"))).Message);
    }

    private static IEnumerable<byte[]> Records(byte[] bytes)
    {
        for (var at = 0; at < bytes.Length;)
        {
            var length = (int)BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(at));
            Assert.Equal(TensorBoardWriter.MaskedCrc(bytes.AsSpan(at, 8)), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 8)));
            var data = bytes.AsSpan(at + 12, length).ToArray();
            Assert.Equal(TensorBoardWriter.MaskedCrc(data), BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at + 12 + length)));
            at += length + 16;
            yield return data;
        }
    }

    private sealed class FixedClock : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_250);
    }

    /// <summary>An independent reading of event.proto: field numbers and wire types from its text.</summary>
    private sealed record Event(double WallTime, long Step, string? Version, List<(string Tag, float Value)> Scalars)
    {
        public static Event Parse(byte[] message)
        {
            var (wallTime, step, version, scalars) = (0.0, 0L, default(string), new List<(string, float)>());
            foreach (var (field, wire, content, number) in Fields(message))
            {
                switch (field, wire)
                {
                    case (1, 1): wallTime = BitConverter.ToDouble(content); break;
                    case (2, 0): step = (long)number; break;
                    case (3, 2): version = Encoding.UTF8.GetString(content); break;
                    case (5, 2): scalars.AddRange(Fields(content).Select(f => Scalar(f.Content))); break;
                    default: Assert.Fail($"field {field} of wire type {wire}"); break;
                }
            }

            return new Event(wallTime, step, version, scalars);
        }

        private static (string Tag, float Value) Scalar(byte[] value)
        {
            var fields = Fields(value).ToDictionary(f => (f.Field, f.Wire), f => f.Content);
            return (Encoding.UTF8.GetString(fields[(1, 2)]), BitConverter.ToSingle(fields[(2, 5)]));
        }

        private static List<(int Field, int Wire, byte[] Content, ulong Number)> Fields(byte[] message)
        {
            var fields = new List<(int, int, byte[], ulong)>();
            for (var at = 0; at < message.Length;)
            {
                var key = (int)Varint(message, ref at);
                var number = (key & 7) is 0 or 2 ? Varint(message, ref at) : 0;
                var size = (key & 7) switch { 0 => 0, 1 => 8, 2 => (int)number, 5 => 4, _ => throw new InvalidDataException() };
                fields.Add((key >> 3, key & 7, message[at..(at + size)], number));
                at += size;
            }

            return fields;
        }

        private static ulong Varint(byte[] bytes, ref int at)
        {
            var value = 0UL;
            for (var shift = 0; ; shift += 7)
            {
                value |= (ulong)(bytes[at] & 0x7F) << shift;
                if (bytes[at++] < 0x80)
                {
                    return value;
                }
            }
        }
    }
}
