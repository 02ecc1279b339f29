using System.Globalization;
using CutoffLen.Common;
using TorchSharp;

namespace CutoffLen.Hardware;

/// <summary>The device and the dtype that a model runs in.</summary>
/// <param name="Device">The CPU or one CUDA device.</param>
/// <param name="Dtype">Of weights and activations; master weights and losses are always float32.</param>
/// <param name="Reason">Why this dtype, for people.</param>
public sealed record DeviceAndDtype(torch.Device Device, torch.ScalarType Dtype, string Reason)
{
    private const string AllowedDtypes = "auto, fp32 and bf16";

    /// <summary>The dtype as the command line spells it.</summary>
    public string DtypeName => Dtype == torch.ScalarType.BFloat16 ? "bf16" : "fp32";

    /// <summary>The device as the command line spells it: <c>cpu</c> or <c>cuda:0</c>.</summary>
    public string DeviceName => Device.type == DeviceType.CPU ? "cpu" : $"cuda:{Device.index}";

    /// <summary>
    /// Reads the options <c>--device</c> and <c>--dtype</c>. <c>auto</c> is the first CUDA device where there is one, and
    /// bfloat16 where the device multiplies it. Of several ranks on this host each takes the device of its own number.
    /// </summary>
    /// <exception cref="UserException">An unknown name, a device that is not there, or libtorch does not load.</exception>
    public static DeviceAndDtype Choose(string device = "auto", string dtype = "auto")
    {
        TorchLibrary.Require();
        return Choose(device, dtype, torch.cuda.is_available() ? torch.cuda.device_count() : 0, CudaDriver.Devices, Cpu.Detect, LocalWorld.Current);
    }

    /// <summary>The choice on a given machine.</summary>
    internal static DeviceAndDtype Choose(
        string device, string dtype, int cudaCount, Func<IReadOnlyList<CudaDevice>> cudaDevices, Func<Cpu> cpu, LocalWorld local)
    {
        var index = CudaIndex(device, cudaCount, local);
        var chosen = index < 0 ? new torch.Device(DeviceType.CPU) : new torch.Device(DeviceType.CUDA, index);
        return dtype.ToLowerInvariant() switch
        {
            "fp32" or "float32" => new DeviceAndDtype(chosen, torch.ScalarType.Float32, "asked for"),
            "bf16" or "bfloat16" => new DeviceAndDtype(chosen, torch.ScalarType.BFloat16, "asked for"),
            "auto" => index < 0 ? AutoCpu(chosen, cpu()) : AutoCuda(chosen, index, cudaDevices()),
            _ => throw new UserException($"--dtype {dtype}: not a number format of cutoff; allowed are {AllowedDtypes}"),
        };
    }

    // -1 is the CPU.
    private static int CudaIndex(string device, int count, LocalWorld local)
    {
        var name = device.ToLowerInvariant();
        if (name == "cpu" || (name == "auto" && count == 0))
        {
            return -1;
        }

        if (name != "auto" && name != "cuda" && !name.StartsWith("cuda:", StringComparison.Ordinal))
        {
            throw new UserException($"--device {device}: not a device; allowed are {AllowedDevices(count)}");
        }

        var index = 0;
        if (name.StartsWith("cuda:", StringComparison.Ordinal) && !int.TryParse(name["cuda:".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out index))
        {
            throw new UserException($"--device {device}: '{device["cuda:".Length..]}' is not a device number; allowed are {AllowedDevices(count)}");
        }

        if (count == 0)
        {
            throw new UserException($"--device {device}: this torch sees no CUDA device ('cutoff env' shows what it sees); allowed are {AllowedDevices(count)}");
        }

        if (index >= count)
        {
            throw new UserException($"--device {device}: there {(count == 1 ? "is one CUDA device" : $"are {count} CUDA devices")}; allowed are {AllowedDevices(count)}");
        }

        // A launcher that gives each rank a device of its own leaves it only that one to see.
        return local.Size == 1 || count == 1 ? index : IndexOfRank(device, count, local);
    }

    private static int IndexOfRank(string device, int count, LocalWorld local)
    {
        if (device.Contains(':', StringComparison.Ordinal))
        {
            throw new UserException($"--device {device}: {local.Size} ranks on this host would share it; give cuda, and each takes its own");
        }

        return local.Size <= count
            ? local.Rank
            : throw new UserException($"--device {device}: {local.Size} ranks on this host and {count} CUDA devices; start at most one rank a device");
    }

    private static string AllowedDevices(int count) =>
        "auto, cpu" + string.Concat(Enumerable.Range(0, count).Select(index => $", cuda:{index}"));

    private static DeviceAndDtype AutoCpu(torch.Device device, Cpu cpu) => cpu.MultipliesBf16
        ? new DeviceAndDtype(device, torch.ScalarType.BFloat16, "the CPU multiplies bfloat16")
        : new DeviceAndDtype(device, torch.ScalarType.Float32, "the CPU does not multiply bfloat16");

    private static DeviceAndDtype AutoCuda(torch.Device device, int index, IReadOnlyList<CudaDevice> devices)
    {
        if (index >= devices.Count)
        {
            return new DeviceAndDtype(device, torch.ScalarType.Float32, "the driver does not tell whether the GPU multiplies bfloat16");
        }

        var gpu = devices[index];
        return gpu.MultipliesBf16
            ? new DeviceAndDtype(device, torch.ScalarType.BFloat16, "the GPU multiplies bfloat16")
            : new DeviceAndDtype(device, torch.ScalarType.Float32, $"the GPU's compute capability {gpu.Capability} is below 8.0");
    }
}
