using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Common;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints.Gguf;

public sealed class GgufTypeTests
{
    [Fact]
    public void A_block_of_q8_0_is_a_scale_and_bytes_rounded_away_from_0()
    {
        // The largest is 127, so the scale is 1 and the bytes are the numbers, rounded.
        float[] block = [127, -127, 0.5f, -0.5f, 1.5f, -1.5f, 2.49f, .. new float[25]];
        sbyte[] rounded = [127, -127, 1, -1, 2, -2, 2, .. new sbyte[25]];
        // Half of that, and nothing at all.
        Assert.Equal(
            [0x00, 0x3C, .. Bytes(rounded), 0x00, 0x38, .. Bytes(rounded), .. new byte[34]],
            GgufTypes.Quantize([.. block, .. block.Select(value => value / 2), .. new float[32]]));
    }

    [Fact]
    public void What_float16_cannot_hold_is_an_error()
    {
        using var scope = NewDisposeScope();
        Assert.Contains("blk.0.ffn_up.weight has values beyond", Assert.Throws<UserException>(() => Encoded(GgufType.F16, 70_000)).Message, StringComparison.Ordinal);
        Assert.Equal([0x80, 0x3F], Encoded(GgufType.BF16, 1));
        Assert.Equal([0x00, 0x3C], Encoded(GgufType.F16, 1));
    }

    private static byte[] Encoded(GgufType type, float value) => type.Encode(tensor([value]), "blk.0.ffn_up.weight").ToArray();

    private static IEnumerable<byte> Bytes(sbyte[] values) => values.Select(value => (byte)value);
}
