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
    public void What_the_heap_keeps_of_earlier_work_does_not_count()
    {
        var before = new PeakMemory(cpu).Bytes();
        // So small that they come from the heap, which the last one keeps from shrinking.
        var taken = Enumerable.Range(0, 8192).Select(_ => ones(16_384)).ToList();
        taken.SkipLast(1).ToList().ForEach(tensor => tensor.Dispose());
        var afterwards = new PeakMemory(cpu).Bytes();
        taken[^1].Dispose();
        Assert.True(afterwards - before < Bytes / 10, $"{afterwards - before:N0} of {Bytes:N0} freed bytes count");
    }

    private static void Take()
    {
        using var taken = ones(Bytes / sizeof(float));
    }
}
