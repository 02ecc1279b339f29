using System.CommandLine;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Hardware;
using CutoffLen.Memory;
using CutoffLen.Runs;
using TorchSharp;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff plan</c>: whether a training run fits into memory, before it is started.</summary>
internal static class PlanCommand
{
    private static readonly Option<long?> DeviceMemory = CommonOptions.Parsed<long?>(
        "--device-memory", "Memory of the device that the run is planned for; without it, what is free on this machine's.", "80GB", text => ByteCount.Parse(text));

    private static readonly Option<bool> Probe = CommonOptions.Flag(
        "Make steps of the run, on random tokens where no data is given, and compare.", "--probe");

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("plan", "Predict the peak memory of a fine-tuning run; needs the model's config.json only.") { DeviceMemory, Probe, CommonOptions.Json }
        .WithTrainingOptions()
        .Runs((parsed, stop) =>
        {
            var config = parsed.ResolveTraining();
            TrainingOptions.Require(
                "plan",
                (config.Model.Model is null, "--model (model): a checkpoint, or a folder with its config.json"),
                (config.Data.CutoffLen is null, "--cutoff (cutoff_len): tokens of a training sequence"));
            FinetuneRun.CheckOffload(config);
            var report = Report(config, parsed.GetValue(DeviceMemory), parsed.GetValue(Probe), stop);
            if (parsed.GetValue(CommonOptions.Json))
            {
                Terminal.PrintJson(report);
            }
            else
            {
                Terminal.PrintFields(report.Fields());
            }

            if (!report.Fits)
            {
                throw new UserException($"cutoff {report.CutoffLen} does not fit: {ByteCount.Gigabytes(report.PeakBytes)} of {ByteCount.Gigabytes(report.DeviceMemoryBytes)}; {report.Remedy}");
            }
        });

    private static PlanReport Report(RunConfig config, long? memory, bool probe, CancellationToken stop)
    {
        var model = HuggingFaceCheckpoint.ReadConfig(config.Model.Model!, out _);
        var spec = FinetuneRun.SpecOf(config, model);
        // A GPU that is not here can be planned for: its memory is given, and it multiplies bfloat16.
        var elsewhere = memory is not null && !probe && config.Model.Device.StartsWith("cuda", StringComparison.Ordinal);
        if (elsewhere)
        {
            var dtype = config.Model.Dtype == "fp32" ? torch.ScalarType.Float32 : torch.ScalarType.BFloat16;
            return new PlanReport(config, spec, MemoryOutlook.Of(config, model, spec, onGpu: true, dtype, memory!.Value), config.Model.Device);
        }

        var compute = Choose(config);
        CpuThreads.Use(config.Model.Threads);
        var onGpu = compute.Device.type != DeviceType.CPU;
        var outlook = MemoryOutlook.Of(config, model, spec, onGpu, compute.Dtype, memory ?? PeakMemory.FreeBytes(compute));
        var report = new PlanReport(config, spec, outlook, compute.DeviceName);
        return probe ? report with { MeasuredBytes = MemoryProbe.Run(config, model, spec, compute, stop) } : report;
    }

    private static DeviceAndDtype Choose(RunConfig config)
    {
        if (config.Model.Device.StartsWith("cuda", StringComparison.Ordinal) && CudaDriver.Devices().Count == 0)
        {
            throw new UserException(
                $"--device {config.Model.Device}: there is no CUDA device here; say how much memory the one has that the run is planned for, as --device-memory 80GB");
        }

        return DeviceAndDtype.Choose(config.Model.Device, config.Model.Dtype);
    }
}
