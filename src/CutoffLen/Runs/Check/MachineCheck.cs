using CutoffLen.Configuration;
using CutoffLen.Hardware;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Runs.Check;

/// <summary>What a check runs.</summary>
/// <param name="Specs">The position methods that are compared with the formulas.</param>
/// <param name="Model">The architecture that is measured.</param>
/// <param name="Lengths">Tokens of a row at which speed is measured.</param>
/// <param name="Cutoff">Tokens of the training sequences whose memory is measured.</param>
/// <param name="Seconds">The least time of a speed measurement.</param>
public sealed record CheckSettings(IReadOnlyList<string> Specs, LlamaConfig Model, IReadOnlyList<int> Lengths, int Cutoff, double Seconds)
{
    /// <summary>
    /// Every method, and a model of a size that fits the device. It takes less than two minutes on two cores. A CPU that does
    /// not multiply bfloat16 emulates it, many times slower than float32, so it gets short rows in that dtype.
    /// </summary>
    public static CheckSettings For(DeviceAndDtype compute)
    {
        var onCpu = compute.Device.type == DeviceType.CPU;
        var emulates = onCpu && compute.Dtype == ScalarType.BFloat16 && !Cpu.Detect().MultipliesBf16;
        return new(MethodCheck.Specs, onCpu ? Small : Large, emulates ? [512] : [512, 2048, 4096], emulates ? 512 : 4096, 1.5);
    }

    // 5.3 million parameters.
    private static LlamaConfig Small => new()
    {
        VocabSize = 1024,
        HiddenSize = 256,
        IntermediateSize = 688,
        NumHiddenLayers = 6,
        NumAttentionHeads = 4,
        NumKeyValueHeads = 4,
        HeadDim = 64,
        MaxPositionEmbeddings = 512,
    };

    // 134 million parameters.
    private static LlamaConfig Large => Small with
    {
        VocabSize = 32_000,
        HiddenSize = 768,
        IntermediateSize = 2048,
        NumHiddenLayers = 12,
        NumAttentionHeads = 12,
        NumKeyValueHeads = 12,
    };
}

/// <summary>
/// Checks a machine without a model or data of the user. Do every position method, and adapters on weights in 4 bits, compute
/// what the formulas say? How fast are training and scoring? Is memory as planned, and resuming exact?
/// </summary>
public static class MachineCheck
{
    /// <summary>Runs the check. What is off is in the report; nothing is left on disk.</summary>
    /// <param name="compute">Device and dtype.</param>
    /// <param name="settings">What is run; null for the standard of the device.</param>
    /// <param name="display">Shows progress.</param>
    /// <param name="stop">Stops it.</param>
    public static CheckReport Run(DeviceAndDtype compute, CheckSettings? settings = null, IRunDisplay? display = null, CancellationToken stop = default)
    {
        var run = settings ?? CheckSettings.For(compute);
        return (display ?? RunProgress.None).Show("check", run.Specs.Count + run.Lengths.Count + 3, progress =>
        {
            var done = 0;
            // Memory first: a process that computed before holds memory that a training run does not need.
            var memory = Next($"memory at {run.Cutoff}", () => Memory(compute, run, stop));
            using var scope = NewDisposeScope();
            using var methods = new MethodCheck(compute);
            var errors = run.Specs.SelectMany(spec => Next(spec, () => methods.Of(spec))).ToList();
            errors.Add(Next(MethodCheck.AdaptersName, methods.OfAdapters));
            using var speed = new SpeedCheck(compute, run.Model, run.Seconds);
            var speeds = run.Lengths.Select(length => Next($"speed at {length}", () => speed.At(length, stop))).ToList();
            var resume = Next("resume", () => ResumeCheck.Run(compute, stop));
            progress.Report(new ProgressStep(done));
            return new CheckReport(errors, LlamaParameters.Count(run.Model), speeds, memory, resume);

            T Next<T>(string note, Func<T> work)
            {
                stop.ThrowIfCancellationRequested();
                progress.Report(new ProgressStep(done++, note));
                return work();
            }
        });
    }

    private static MemoryComparison Memory(DeviceAndDtype compute, CheckSettings run, CancellationToken stop)
    {
        var config = new RunConfig
        {
            Model = new() { Rope = "rope", Device = compute.DeviceName, Dtype = compute.DtypeName },
            Data = new() { CutoffLen = run.Cutoff },
        };
        var outlook = MemoryOutlook.Of(config, run.Model, run.Model.SetupFor(PositionMethods.Parse("rope"), run.Cutoff), compute);
        var measured = MemoryProbe.Run(outlook, stop);
        stop.ThrowIfCancellationRequested(); // else the probe ended early
        return new MemoryComparison(run.Cutoff, outlook.Plan.DeviceBytes, measured);
    }
}
