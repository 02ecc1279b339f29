using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Hardware;
using CutoffLen.Memory;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Training;
using TorchSharp;

namespace CutoffLen.Runs;

/// <summary>A run's predicted memory, against what the device has.</summary>
/// <param name="Config">The run.</param>
/// <param name="Model">The architecture.</param>
/// <param name="Positions">The position method.</param>
/// <param name="Settings">What decides the memory.</param>
/// <param name="Plan">The plan.</param>
/// <param name="Budget">Bytes that the device has for it.</param>
public sealed record MemoryOutlook(RunConfig Config, LlamaConfig Model, PositionSetup Positions, MemorySettings Settings, MemoryPlan Plan, long Budget)
{
    private readonly MemoryAdvice advice = new(Model, Settings, Budget);

    /// <summary>Device and dtype on this machine; null where another machine's GPU is planned for.</summary>
    public DeviceAndDtype? Compute { get; init; }

    /// <summary>Whether it fits.</summary>
    public bool Fits => Plan.DeviceBytes <= Budget;

    /// <summary>The largest cutoff that fits; 0 where none does.</summary>
    public int LargestCutoff => advice.LargestCutoff();

    /// <summary>The smallest change of settings that makes it fit; empty where it does, or where none does.</summary>
    public IReadOnlyList<string> Change => Fits ? [] : advice.SmallestChange(Config.Lora.ToAdapterConfig(Model.Family));

    /// <summary>Predicts a run's memory from the model's config.json alone.</summary>
    /// <param name="config">Model and cutoff_len must be given.</param>
    /// <param name="deviceMemory">Bytes of the device; null for what is free on this machine's.</param>
    /// <param name="onThisMachine">Whether the device must be here; else a GPU of which only the memory is given is planned for.</param>
    /// <param name="ranks">Ranks of the run, a device each.</param>
    /// <exception cref="UserException">What is wrong with the configuration, or the device is not here and its memory is not given.</exception>
    public static MemoryOutlook Open(RunConfig config, long? deviceMemory = null, bool onThisMachine = false, int ranks = 1)
    {
        RunConfigCheck.Require(
            "plan",
            (config.Model.Model is null, "--model (model): a checkpoint, or a folder with its config.json"),
            (config.Data.CutoffLen is null, "--cutoff (cutoff_len): tokens of a training sequence"));
        FinetunePlan.CheckOffload(config);
        var model = FinetunePlan.ModelOf(config, HuggingFaceCheckpoint.ReadConfig(config.Model.Model!, out _));
        // The weights have the order of the pairs for dpe:topk. Every order takes the same memory.
        var pairs = model.RotaryDim / 2;
        model = model with { PairRanks = [.. Enumerable.Range(0, model.NumHiddenLayers * model.NumAttentionHeads * pairs).Select(pair => pair % pairs)] };
        var positions = FinetunePlan.PositionsOf(config, model);
        var isCuda = config.Model.Device.StartsWith("cuda", StringComparison.Ordinal);
        if (isCuda && deviceMemory is { } memory && !onThisMachine)
        {
            // A GPU multiplies bfloat16.
            return Of(config, model, positions, onGpu: true, config.Model.Dtype == "fp32" ? torch.ScalarType.Float32 : torch.ScalarType.BFloat16, memory, ranks);
        }

        if (isCuda && CudaDriver.Devices().Count == 0)
        {
            throw new UserException(
                $"--device {config.Model.Device}: there is no CUDA device here; say how much memory the one has that the run is planned for, as --device-memory 80GB");
        }

        var compute = DeviceAndDtype.Choose(config.Model.Device, config.Model.Dtype);
        CpuThreads.Use(config.Model.Threads);
        return Of(config, model, positions, compute, ranks, deviceMemory);
    }

    /// <summary>Predicts a run's memory on a device of this machine.</summary>
    internal static MemoryOutlook Of(RunConfig config, LlamaConfig model, PositionSetup positions, DeviceAndDtype compute, int ranks = 1, long? budget = null) =>
        Of(config, model, positions, compute.Device.type != DeviceType.CPU, compute.Dtype, budget ?? PeakMemory.FreeBytes(compute), ranks) with { Compute = compute };

    /// <summary>In a sentence: what to do where it does not fit.</summary>
    public string Remedy()
    {
        var (change, largest) = (Change, LargestCutoff);
        var shorter = largest > 0 ? $"a cutoff of {largest} fits as it is" : "no cutoff fits as it is";
        return change.Count == 0
            ? $"no change of settings makes it fit; {shorter}"
            : $"the smallest change that makes it fit: {string.Join(", ", change)}; {shorter}";
    }

    private static MemoryOutlook Of(RunConfig config, LlamaConfig model, PositionSetup positions, bool onGpu, torch.ScalarType dtype, long budget, int ranks)
    {
        var (training, cutoff) = (config.Training, config.Data.CutoffLen!.Value);
        var settings = new MemorySettings(cutoff, BandShape.Of(positions.Layers, cutoff))
        {
            BatchSize = training.PerDeviceTrainBatchSize,
            AccumulationSteps = training.AccumulationSteps(cutoff, training.DataParallelSize(ranks)),
            Width = dtype == torch.ScalarType.Float32 ? 4 : 2,
            OnGpu = onGpu,
            Recompute = training.Recompute,
            Optimizer = training.Optimizer,
            OffloadOptimizer = training.OffloadOptimizer,
            OffloadInputs = training.OffloadInputs,
            Ranks = ranks,
            ContextParallelSize = training.ContextParallelSize,
            MayFuse = !config.Model.Attention.Equals(nameof(AttentionPath.Blocked), StringComparison.OrdinalIgnoreCase) && AttentionChoice.HasFusedKernels(onGpu, dtype),
            Quantization = model.Quantization,
            Lora = training.Method == TrainingMethod.Lora ? config.Lora.ToAdapterConfig(model.Family) : null,
            EquationParameters = training.Method == TrainingMethod.Full && FinetunePlan.EquationOf(positions) is { } equation ? equation.Up.Length + equation.Down.Length : 0,
        };
        return new MemoryOutlook(config, model, positions, settings, MemoryPlan.Of(model, settings), budget);
    }
}
