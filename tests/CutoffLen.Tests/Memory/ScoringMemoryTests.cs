using CutoffLen.Common;
using CutoffLen.Memory;
using CutoffLen.Models.Attention;
using CutoffLen.Positions.Methods;
using CutoffLen.Tests.Models;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Memory;

public sealed class ScoringMemoryTests
{
    [Fact]
    public void What_is_said_to_fit_fits_and_one_token_more_does_not()
    {
        var memory = Of(ScalarType.Float32);
        var longest = memory.LongestWithin(2_000_000_000);
        Assert.True(memory.Bytes(longest) <= 2_000_000_000);
        Assert.True(memory.Bytes(longest + 1) > 2_000_000_000);
        memory.Check(longest, 2_000_000_000);
        var problem = Assert.Throws<UserException>(() => memory.Check(longest + 1, 2_000_000_000));
        Assert.Contains($"up to {longest} would fit", problem.Message);
        Assert.Equal(0, memory.LongestWithin(1000));
    }

    [Fact]
    public void A_narrower_number_format_takes_less() => Assert.True(
        Of(ScalarType.BFloat16).Bytes(1_000_000) < Of(ScalarType.Float32).Bytes(1_000_000));

    [Fact]
    public void More_bands_take_more() => Assert.True(
        Of(ScalarType.Float32, "dca:chunk=64,window=16").Bytes(10_000) > Of(ScalarType.Float32).Bytes(10_000));

    private static ScoringMemory Of(ScalarType dtype, string spec = "rope")
    {
        var config = TinyModels.Config();
        return new ScoringMemory(config, config.SetupFor(PositionMethods.Parse(spec), 1024).Method, AttentionPath.Sdpa, dtype);
    }
}
