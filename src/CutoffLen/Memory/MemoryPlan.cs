using CutoffLen.Models.Llama;
using CutoffLen.Training;

namespace CutoffLen.Memory;

/// <summary>A part of the memory that training takes.</summary>
/// <param name="Name">For people.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="AtPeak">Whether it is there when the sum is largest; what comes and goes at another time is not counted.</param>
public sealed record MemoryPart(string Name, long Bytes, bool AtPeak = true);

/// <summary>
/// The peak memory of a training run, predicted by arithmetic alone: what stays for the whole run, and the largest of the
/// moments of a step, as <see cref="LayerwiseBackprop"/> goes through them.
/// </summary>
/// <param name="Device">What the model's device holds; on the CPU that is everything.</param>
/// <param name="Host">What host memory holds beside a GPU; nothing on the CPU.</param>
public sealed record MemoryPlan(IReadOnlyList<MemoryPart> Device, IReadOnlyList<MemoryPart> Host)
{
    /// <summary>Peak bytes on the device.</summary>
    public long DeviceBytes => Peak(Device);

    /// <summary>Peak bytes in host memory, 0 where the device is the CPU.</summary>
    public long HostBytes => Peak(Host);

    /// <summary>Plans a run.</summary>
    public static MemoryPlan Of(LlamaConfig config, MemorySettings settings)
    {
        var state = new StateMemory(config, settings);
        var step = new StepMemory(config, settings);
        var moments = step.Moments();
        var largest = moments.MaxBy(moment => moment.Sum(part => part.Bytes))!;
        var passing = moments.SelectMany(moment => moment).GroupBy(part => part.Name)
            .Select(parts => largest.FirstOrDefault(part => part.Name == parts.Key) ?? parts.MaxBy(part => part.Bytes)! with { AtPeak = false }).ToList();
        var staying = state.OnDevice().ToList();
        return new MemoryPlan(
            [.. staying.Concat(passing).Where(part => part.Bytes > 0), ProcessMemory.OnDevice(settings, staying, passing)],
            settings.OnGpu ? [.. state.OnHost().Append(step.Parked).Where(part => part.Bytes > 0), ProcessMemory.Beside] : []);
    }

    /// <summary>How many parameters a run trains.</summary>
    public static long TrainedParameters(LlamaConfig config, MemorySettings settings) => StateMemory.TrainedCount(config, settings);

    /// <summary>Bytes of those parts that are there at the peak.</summary>
    internal static long Peak(IReadOnlyList<MemoryPart> parts) => parts.Where(part => part.AtPeak).Sum(part => part.Bytes);
}
