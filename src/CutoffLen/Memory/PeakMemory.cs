using System.Diagnostics;
using System.Runtime.InteropServices;
using CutoffLen.Hardware;
using TorchSharp;

namespace CutoffLen.Memory;

/// <summary>
/// The peak memory of this process on a device since this object was made. On the CPU its largest resident set; on a GPU what
/// torch's allocator, which gives nothing back, has taken.
/// </summary>
public sealed partial class PeakMemory
{
    private const string LinuxReset = "/proc/self/clear_refs";

    private readonly DeviceAndDtype compute;
    private readonly long freeAtFirst;

    /// <summary>Begins to measure. Where the system can't forget an earlier peak, on the CPU that remains the least.</summary>
    public PeakMemory(DeviceAndDtype compute)
    {
        this.compute = compute;
        freeAtFirst = FreeBytes(compute);
        Forget();
    }

    /// <summary>
    /// Bytes that are free on the device now, with what this process holds in main memory already. Ranks on one host share its
    /// memory.
    /// </summary>
    public static long FreeBytes(DeviceAndDtype compute) => compute.Device.type == DeviceType.CPU
        ? (HostMemory.Read().AvailableBytes / LocalWorld.Current.Size) + Environment.WorkingSet
        : CudaDriver.FreeBytes(compute.Device.index);

    /// <summary>The peak so far, in bytes.</summary>
    public long Bytes()
    {
        using var process = Process.GetCurrentProcess();
        return compute.Device.type == DeviceType.CPU ? process.PeakWorkingSet64 : freeAtFirst - FreeBytes(compute);
    }

    /// <summary>Makes the resident set the peak, and before that gives back what is free: both heaps keep what earlier work has freed.</summary>
    private static void Forget()
    {
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        try
        {
            if (File.Exists(LinuxReset))
            {
                _ = Trim(0);
                File.WriteAllText(LinuxReset, "5"); // proc(5): the peak becomes the present resident set
            }
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or EntryPointNotFoundException)
        {
            // A container may forbid it, and only glibc can trim its heap.
        }
    }

    [LibraryImport("libc", EntryPoint = "malloc_trim")]
    private static partial int Trim(nuint pad);
}
