using System.Text;
using CutoffLen.Common;

namespace CutoffLen.Tests;

public sealed class Crc32CTests
{
    [Fact]
    public void The_published_vectors_come_out()
    {
        // RFC 3720 appendix B.4, and the check value of the CRC catalogue.
        Assert.Equal(0x8A9136AAu, Crc32C.Of(new byte[32]));
        Assert.Equal(0x62A8AB43u, Crc32C.Of(Enumerable.Repeat((byte)0xFF, 32).ToArray()));
        Assert.Equal(0x46DD794Eu, Crc32C.Of(Enumerable.Range(0, 32).Select(i => (byte)i).ToArray()));
        Assert.Equal(0x113FDB5Cu, Crc32C.Of(Enumerable.Range(0, 32).Select(i => (byte)(31 - i)).ToArray()));
        Assert.Equal(0xE3069283u, Crc32C.Of("123456789"u8));
        Assert.Equal(0u, Crc32C.Of([]));
    }

    [Fact]
    public void Pieces_of_any_size_give_the_checksum_of_the_whole()
    {
        var text = Encoding.ASCII.GetBytes("The quick brown fox jumps over the lazy dog");
        for (var cut = 0; cut <= text.Length; cut++)
        {
            var crc = default(Crc32C);
            crc.Append(text.AsSpan(0, cut));
            crc.Append(text.AsSpan(cut));
            Assert.Equal(Crc32C.Of(text), crc.Value);
        }
    }
}
