using CutoffLen.Hardware;
using CutoffLen.Memory;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Memory;

public sealed class PeakMemoryTests
{
    private const long Bytes = 512L << 20;
    private readonly DeviceAndDtype cpu = DeviceAndDtype.Choose("cpu", "fp32");

    [Fact]
    public void It_counts_what_is_taken_after_it_began_and_not_what_was_given_back_before()
    {
        var first = new PeakMemory(cpu);
        var before = first.Bytes();
        Take();
        var peak = first.Bytes();
        Assert.True(peak - before > Bytes * 9 / 10, $"{peak - before:N0} bytes of {Bytes:N0} seen");
        var afterwards = new PeakMemory(cpu).Bytes();
        Assert.True(peak - afterwards > Bytes * 9 / 10, $"a peak of {peak:N0} bytes is forgotten but for {afterwards:N0}");
    }

    [Fact]
    public void Work_beside_it_does_not_count_and_what_was_taken_before_that_does()
    {
        var peak = new PeakMemory(cpu);
        var before = peak.Bytes();
        Assert.Equal(7, peak.Without(() =>
        {
            Take();
            return 7;
        }));
        Assert.True(peak.Bytes() - before < Bytes / 10, $"{peak.Bytes() - before:N0} bytes counted");
        Take();
        var taken = peak.Bytes();
        peak.Without(() => 0);
        Assert.Equal(taken, peak.Bytes());
    }

    private static void Take()
    {
        using var taken = ones(Bytes / sizeof(float));
    }
}
