using System.Diagnostics;
using CutoffLen.Hardware;
using TorchSharp;

namespace CutoffLen.Cli;

/// <summary>
/// The peak memory of this process on a device. On the CPU its largest resident set; on a GPU what torch's allocator, which
/// gives nothing back, has taken since this object was made.
/// </summary>
internal sealed class PeakMemory(Compute compute)
{
    private readonly long freeAtFirst = FreeBytes(compute);

    /// <summary>Bytes that are free on the device now, with what this process holds in main memory already.</summary>
    public static long FreeBytes(Compute compute) => compute.Device.type == DeviceType.CPU
        ? HostMemory.Read().AvailableBytes + Environment.WorkingSet
        : CudaDriver.FreeBytes(compute.Device.index);

    /// <summary>The peak so far, in bytes.</summary>
    public long Bytes()
    {
        using var process = Process.GetCurrentProcess();
        return compute.Device.type == DeviceType.CPU ? process.PeakWorkingSet64 : freeAtFirst - FreeBytes(compute);
    }
}
