using System.CommandLine;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json.Serialization;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Distributed;
using CutoffLen.Hardware;
using TorchSharp;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff env</c>: what the program runs on, what <c>auto</c> chooses here, and the ranks where a launcher started several.</summary>
internal static class EnvCommand
{
    private const double Gibibyte = 1L << 30;

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("env", "Show what cutoff runs on: torch, devices, CPU, memory, and what auto chooses.")
        {
            CommonOptions.Device,
            CommonOptions.Dtype,
            CommonOptions.Threads,
            CommonOptions.Json,
        }
        .RunsOnEveryRank((parsed, _) => parsed.Print(WithRanks(Examine(parsed), parsed.Terminal().World), Fields));

    /// <summary>The machine, and what the options <c>--device</c>, <c>--dtype</c> and <c>--threads</c> choose on it.</summary>
    internal static Report Examine(ParseResult parsed)
    {
        var library = TorchLibrary.Load();
        var report = new Report(
            Failure.Version, library, [], Cpu.Detect(), null, null, null, null,
            RuntimeInformation.FrameworkDescription, $"{RuntimeInformation.OSDescription}, {RuntimeInformation.ProcessArchitecture}", HostMemory.Read());
        return library.Problem is null ? WithTorch(report, parsed) : report;
    }

    private static Report WithTorch(Report report, ParseResult parsed)
    {
        var compute = parsed.GetCompute();
        var driver = CudaDriver.Devices();
        var cuda = Enumerable.Range(0, torch.cuda.device_count()).Select(index => new DeviceReport(
            $"cuda:{index}", driver.ElementAtOrDefault(index)?.Name, driver.ElementAtOrDefault(index)?.Capability.ToString(), driver.ElementAtOrDefault(index)?.TotalBytes));
        return report with
        {
            Devices = [new DeviceReport("cpu", report.Cpu.Model, null, report.Memory.TotalBytes), .. cuda],
            Threads = torch.get_num_threads(),
            Device = compute.DeviceName,
            Dtype = compute.DtypeName,
            DtypeReason = compute.Reason,
        };
    }

    private static Report WithRanks(Report report, World world)
    {
        if (world.MpiVersion is not { } mpi)
        {
            return report;
        }

        var ranks = world.Ranks.Gather($"{report.Device} {report.Threads}").Select(rank => rank.Split(' '));
        return report with
        {
            Mpi = new MpiReport(
                mpi, World.NcclVersion, [.. ranks.Select((chosen, rank) => new RankReport(rank, world.Hosts[rank], chosen[0], int.Parse(chosen[1], CultureInfo.InvariantCulture)))]),
        };
    }

    /// <summary>The same as names and values for people.</summary>
    internal static IReadOnlyList<(string, string)> Fields(Report report)
    {
        var fields = new List<(string, string)>
        {
            ("cutoff", report.Cutoff),
            ("torch", $"libtorch {report.Torch.Libtorch ?? $"does not load: {report.Torch.Problem}"}"),
            ("TorchSharp", report.Torch.Torchsharp),
        };
        if (report.Torch.WeakNeed is { } version)
        {
            fields.Add(("libstdc++", $"lacks {version}, which TorchSharp's library asks for and does not use; the build made the need weak"));
        }

        fields.AddRange(report.Devices.Select(device => (device.Id, Describe(device))));
        fields.Add(("features", report.Cpu.Features.Count == 0 ? "none that matter to torch" : string.Join(' ', report.Cpu.Features)));
        if (report.Device is not null)
        {
            fields.Add(("threads", $"{report.Threads} on {report.Cpu.Cores} cores, {report.Cpu.Processors} processors"));
            fields.Add(("device", report.Device));
            fields.Add(("dtype", $"{report.Dtype} ({report.DtypeReason})"));
        }

        if (report.Mpi is { } mpi)
        {
            fields.Add(("MPI", $"{mpi.Version}, {mpi.Ranks.Count} ranks"));
            fields.Add(("NCCL", mpi.Nccl ?? "missing: what GPUs exchange goes through main memory"));
            fields.AddRange(mpi.Ranks.Select(rank => ($"rank {rank.Rank}", $"{rank.Host}, {rank.Device}, threads: {rank.Threads}")));
        }

        fields.Add(("memory", $"{report.Memory.AvailableBytes / Gibibyte:0.0} GiB available of {report.Memory.TotalBytes / Gibibyte:0.0} GiB"));
        fields.Add((".NET", report.Dotnet));
        fields.Add(("system", report.System));
        return fields;
    }

    private static string Describe(DeviceReport device)
    {
        var capability = device.Capability is null ? "" : $", capability {device.Capability}";
        var memory = device.TotalBytes is { } bytes ? $", {bytes / Gibibyte:0.0} GiB" : "";
        return (device.Name ?? "unknown") + capability + memory;
    }

    /// <summary>A device; null is what nobody tells.</summary>
    internal sealed record DeviceReport(string Id, string? Name, string? Capability, long? TotalBytes);

    /// <summary>A rank.</summary>
    internal sealed record RankReport(int Rank, string Host, string Device, int Threads);

    /// <summary>The ranks, the MPI library, and NCCL's version where it is there.</summary>
    internal sealed record MpiReport(string Version, string? Nccl, IReadOnlyList<RankReport> Ranks);

    /// <summary>What the program runs on. What only torch can tell is null when it does not load.</summary>
    internal sealed record Report(
        string Cutoff,
        TorchLibrary Torch,
        IReadOnlyList<DeviceReport> Devices,
        Cpu Cpu,
        int? Threads,
        string? Device,
        string? Dtype,
        string? DtypeReason,
        string Dotnet,
        string System,
        HostMemory Memory)
    {
        /// <summary>null for a process alone.</summary>
        [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
        public MpiReport? Mpi { get; init; }
    }
}
