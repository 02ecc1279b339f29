using CutoffLen.Common;
using CutoffLen.Memory;
using CutoffLen.Tests.Models;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Memory;

public sealed class ScoringMemoryTests
{
    [Fact]
    public void What_is_said_to_fit_fits_and_one_token_more_does_not()
    {
        var memory = new ScoringMemory(TinyModels.Config(), ScalarType.Float32);
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
        new ScoringMemory(TinyModels.Config(), ScalarType.BFloat16).Bytes(10_000) < new ScoringMemory(TinyModels.Config(), ScalarType.Float32).Bytes(10_000));
}
