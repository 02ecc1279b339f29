using CutoffLen.Checkpoints.Lora;
using CutoffLen.Configuration;
using CutoffLen.Hardware;
using CutoffLen.Memory;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using TorchSharp;

namespace CutoffLen.Runs;

/// <summary>A run's memory as planned, against what there is.</summary>
/// <param name="Model">The architecture.</param>
/// <param name="Settings">What was planned.</param>
/// <param name="Plan">The plan.</param>
/// <param name="Budget">Bytes that the device has for it.</param>
/// <param name="Change">The smallest change of settings that makes it fit; empty where it does, or where none does.</param>
public sealed record MemoryOutlook(LlamaConfig Model, MemorySettings Settings, MemoryPlan Plan, long Budget, IReadOnlyList<string> Change)
{
    /// <summary>Whether it fits.</summary>
    public bool Fits => Plan.DeviceBytes <= Budget;

    /// <summary>Plans a run.</summary>
    /// <param name="config">With a cutoff.</param>
    /// <param name="model">The architecture.</param>
    /// <param name="spec">The position method, resolved.</param>
    /// <param name="onGpu">Whether the model is on a GPU.</param>
    /// <param name="dtype">Of the model.</param>
    /// <param name="budget">Bytes of the device.</param>
    public static MemoryOutlook Of(RunConfig config, LlamaConfig model, PositionSpec spec, bool onGpu, torch.ScalarType dtype, long budget)
    {
        var training = config.Training;
        var cutoff = config.Data.CutoffLen!.Value;
        var settings = new MemorySettings(cutoff, BandShape.Of(PositionMethods.Create(spec, model.Positions, FinetuneRun.Target(config))))
        {
            BatchSize = training.PerDeviceTrainBatchSize,
            AccumulationSteps = training.AccumulationSteps(cutoff),
            Width = dtype == torch.ScalarType.Float32 ? 4 : 2,
            OnGpu = onGpu,
            Recompute = training.Recompute,
            Optimizer = training.Optimizer,
            OffloadOptimizer = training.OffloadOptimizer,
            OffloadInputs = training.OffloadInputs,
            // On a GPU the faster path is taken, which is not known before the run; on a CPU mostly ours.
            MayFuse = onGpu && !config.Model.Attention.Equals(nameof(AttentionPath.Blocked), StringComparison.OrdinalIgnoreCase),
            Lora = training.Method == TrainingMethod.Lora ? AdaptersOf(config) : null,
        };
        var advice = new MemoryAdvice(model, settings, budget);
        return new MemoryOutlook(
            model, settings, MemoryPlan.Of(model, settings), budget, advice.Fits ? [] : advice.SmallestChange(AdaptersOf(config)));
    }

    /// <summary>The same for a device of this machine, with what is free on it now.</summary>
    public static MemoryOutlook Of(RunConfig config, LlamaConfig model, PositionSpec spec, DeviceAndDtype compute) =>
        Of(config, model, spec, compute.Device.type != DeviceType.CPU, compute.Dtype, PeakMemory.FreeBytes(compute));

    /// <summary>The adapters that a configuration describes.</summary>
    public static AdapterConfig AdaptersOf(RunConfig config) => new(
        config.Lora.LoraR, config.Lora.LoraAlpha, config.Lora.LoraDropout, config.Lora.LoraTargetModules, config.Lora.ModulesToSave, config.Lora.UseRslora);

    /// <summary>In a sentence: what to do where it does not fit.</summary>
    public string Remedy()
    {
        var largest = new MemoryAdvice(Model, Settings, Budget).LargestCutoff();
        var shorter = largest > 0 ? $"a cutoff of {largest} fits as it is" : "no cutoff fits as it is";
        return Change.Count == 0
            ? $"no change of settings makes it fit; {shorter}"
            : $"the smallest change that makes it fit: {string.Join(", ", Change)}; {shorter}";
    }
}
