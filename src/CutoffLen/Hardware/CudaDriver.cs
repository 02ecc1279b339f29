using System.Runtime.InteropServices;
using System.Text;

namespace CutoffLen.Hardware;

/// <summary>A CUDA device as NVIDIA's driver describes it.</summary>
/// <param name="Name">For example <c>NVIDIA H100 80GB HBM3</c>.</param>
/// <param name="Capability">Compute capability, for example 9.0.</param>
/// <param name="TotalBytes">Device memory.</param>
public sealed record CudaDevice(string Name, Version Capability, long TotalBytes)
{
    /// <summary>Whether its tensor cores multiply bfloat16: Ampere (8.0) and later.</summary>
    public bool MultipliesBf16 => Capability.Major >= 8;
}

/// <summary>
/// Asks NVIDIA's driver what torch's public API does not tell. Devices have the order in which torch counts them, because
/// both follow CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER.
/// </summary>
public static unsafe class CudaDriver
{
    private const string Library = "libcuda.so.1";
    private const int CapabilityMajor = 75;
    private const int CapabilityMinor = 76;

    /// <summary>All devices; none where there is no NVIDIA driver.</summary>
    public static IReadOnlyList<CudaDevice> Devices()
    {
        if (!NativeLibrary.TryLoad(Library, out var driver))
        {
            return [];
        }

        var initialize = (delegate* unmanaged<uint, int>)NativeLibrary.GetExport(driver, "cuInit");
        var countDevices = (delegate* unmanaged<int*, int>)NativeLibrary.GetExport(driver, "cuDeviceGetCount");
        int count;
        if (initialize(0) != 0 || countDevices(&count) != 0)
        {
            return []; // a driver without a device, or one that this process may not use
        }

        var devices = new List<CudaDevice>();
        for (var index = 0; index < count; index++)
        {
            devices.Add(Describe(driver, index));
        }

        return devices;
    }

    /// <summary>Free device memory in bytes, with the context of this process, which is created where there is none.</summary>
    /// <param name="index">The device's number.</param>
    /// <exception cref="InvalidOperationException">There is no such device.</exception>
    public static long FreeBytes(int index)
    {
        if (index >= Devices().Count)
        {
            throw new InvalidOperationException($"NVIDIA's driver has no device {index}");
        }

        var driver = NativeLibrary.Load(Library);
        var getDevice = (delegate* unmanaged<int*, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGet");
        var retain = (delegate* unmanaged<nint*, int, int>)NativeLibrary.GetExport(driver, "cuDevicePrimaryCtxRetain");
        var release = (delegate* unmanaged<int, int>)NativeLibrary.GetExport(driver, "cuDevicePrimaryCtxRelease_v2");
        var push = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(driver, "cuCtxPushCurrent_v2");
        var pop = (delegate* unmanaged<nint*, int>)NativeLibrary.GetExport(driver, "cuCtxPopCurrent_v2");
        var getInfo = (delegate* unmanaged<nuint*, nuint*, int>)NativeLibrary.GetExport(driver, "cuMemGetInfo_v2");

        int device;
        nint context;
        nuint free, total;
        Check(getDevice(&device, index));
        Check(retain(&context, device)); // the context that torch uses too
        Check(push(context));
        Check(getInfo(&free, &total));
        Check(pop(&context));
        Check(release(device));
        return (long)free;
    }

    /// <summary>Makes a device the calling thread's current one, as libraries see it that take no device's number.</summary>
    /// <param name="index">The device's number.</param>
    /// <exception cref="InvalidOperationException">There is no such device.</exception>
    public static void MakeCurrent(int index)
    {
        var driver = NativeLibrary.Load(Library);
        var getDevice = (delegate* unmanaged<int*, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGet");
        var retain = (delegate* unmanaged<nint*, int, int>)NativeLibrary.GetExport(driver, "cuDevicePrimaryCtxRetain");
        var setCurrent = (delegate* unmanaged<nint, int>)NativeLibrary.GetExport(driver, "cuCtxSetCurrent");

        int device;
        nint context;
        Check(getDevice(&device, index));
        Check(retain(&context, device)); // never released: it is torch's too
        Check(setCurrent(context));
    }

    private static CudaDevice Describe(nint driver, int index)
    {
        var getDevice = (delegate* unmanaged<int*, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGet");
        var getName = (delegate* unmanaged<byte*, int, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGetName");
        var getMemory = (delegate* unmanaged<nuint*, int, int>)NativeLibrary.GetExport(driver, "cuDeviceTotalMem_v2");
        var getAttribute = (delegate* unmanaged<int*, int, int, int>)NativeLibrary.GetExport(driver, "cuDeviceGetAttribute");

        int device, major, minor;
        nuint bytes;
        var name = stackalloc byte[256];
        Check(getDevice(&device, index));
        Check(getName(name, 256, device));
        Check(getMemory(&bytes, device));
        Check(getAttribute(&major, CapabilityMajor, device));
        Check(getAttribute(&minor, CapabilityMinor, device));
        return new CudaDevice(Encoding.UTF8.GetString(MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name)), new Version(major, minor), (long)bytes);
    }

    private static void Check(int status)
    {
        if (status != 0)
        {
            throw new InvalidOperationException($"NVIDIA's driver answered with error {status}");
        }
    }
}
