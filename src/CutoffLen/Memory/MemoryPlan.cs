using CutoffLen.Checkpoints.Lora;
using CutoffLen.Models.Llama;
using CutoffLen.Training;

namespace CutoffLen.Memory;

/// <summary>What decides the memory of a training step besides the architecture.</summary>
/// <param name="Cutoff">Tokens of a sequence.</param>
/// <param name="Bands">The position method's bands.</param>
public sealed record MemorySettings(int Cutoff, BandShape Bands)
{
    /// <summary>Sequences of one forward pass.</summary>
    public int BatchSize { get; init; } = 1;

    /// <summary>Forward passes of one step.</summary>
    public int AccumulationSteps { get; init; } = 1;

    /// <summary>Bytes of a number of the model: 2 in bf16, 4 in fp32.</summary>
    public int Width { get; init; } = 2;

    /// <summary>Whether the model is on a GPU.</summary>
    public bool OnGpu { get; init; }

    /// <summary>What the backward pass keeps.</summary>
    public Recompute Recompute { get; init; }

    /// <summary>The optimizer.</summary>
    public OptimizerKind Optimizer { get; init; }

    /// <summary>Whether the optimizer's state is offloaded to host memory.</summary>
    public bool OffloadOptimizer { get; init; }

    /// <summary>Whether the kept inputs of layers are offloaded to host memory.</summary>
    public bool OffloadInputs { get; init; }

    /// <summary>Whether libtorch's own operator may compute attention.</summary>
    public bool MayFuse { get; init; }

    /// <summary>The adapters; null when all weights are trained.</summary>
    public AdapterConfig? Lora { get; init; }

    /// <summary>B*T, tokens of a forward pass.</summary>
    public long Tokens => (long)BatchSize * Cutoff;
}

/// <summary>What memory is used for in training.</summary>
internal enum MemoryUse
{
    // State.
    Weights,
    Gradients,
    GradientSum,
    MasterWeights,
    OptimizerMoments,
    PositionTables,

    // Of a step.
    LayerInputs,
    LayerGraphs,
    OneLayerGraph,
    StreamGradients,
    LayerSteps,
    Attention,
    Logits,
    OptimizerSlices,

    // Beside tensors.
    CudaContext,
    Process,
    HostProcess,
}

/// <summary>A part of the memory that training takes.</summary>
public sealed record MemoryPart
{
    internal MemoryPart(MemoryUse use, long bytes) => (Use, Bytes) = (use, bytes);

    /// <summary>What it is used for, for people.</summary>
    public string Name => Use switch
    {
        MemoryUse.Weights => "weights",
        MemoryUse.Gradients => "gradients",
        MemoryUse.GradientSum => "sum of gradients, float32",
        MemoryUse.MasterWeights => "master weights, float32",
        MemoryUse.OptimizerMoments => "optimizer moments, float32",
        MemoryUse.PositionTables => "position tables, room for scores",
        MemoryUse.LayerInputs => "inputs of layers",
        MemoryUse.LayerGraphs => "graphs of layers",
        MemoryUse.OneLayerGraph => "one layer's graph",
        MemoryUse.StreamGradients => "gradients between layers",
        MemoryUse.LayerSteps => "a layer's steps in float32",
        MemoryUse.Attention => "attention workspace",
        MemoryUse.Logits => "a chunk of logits",
        MemoryUse.OptimizerSlices => "the optimizer's slices",
        MemoryUse.CudaContext => "CUDA context and allocator",
        MemoryUse.Process => "process and heap",
        _ => "process with CUDA's libraries",
    };

    /// <summary>Its size.</summary>
    public long Bytes { get; }

    /// <summary>Whether it exists when the sum is largest; a part of another moment is not counted.</summary>
    public bool AtPeak { get; init; } = true;

    internal MemoryUse Use { get; }
}

/// <summary>
/// The peak memory of a training run, predicted by arithmetic alone. It is what stays for the whole run, and the largest of
/// the moments of a step, as <see cref="LayerwiseBackprop"/> goes through them.
/// </summary>
/// <param name="Device">What the model's device holds; on the CPU that is everything.</param>
/// <param name="Host">What host memory holds beside a GPU; nothing on the CPU.</param>
public sealed record MemoryPlan(IReadOnlyList<MemoryPart> Device, IReadOnlyList<MemoryPart> Host)
{
    // Measured on the CPU: the runtime, libtorch, oneDNN's code, this program. glibc's heap does not fill every hole that
    // passing tensors leave with aligned blocks.
    private const long ProcessBytes = 240_000_000;
    private const double HeapHoles = 0.5; // of the bytes that come and go

    // Cautious estimates: the CUDA context with its kernels and cuBLAS's workspaces, and the holes of torch's allocator.
    private const long CudaContextBytes = 1_000_000_000;
    private const double CacheHoles = 0.05;
    private const long HostProcessBytes = 3_000_000_000;

    /// <summary>Peak bytes on the device.</summary>
    public long DeviceBytes => Peak(Device);

    /// <summary>Peak bytes in host memory, 0 where the device is the CPU.</summary>
    public long HostBytes => Peak(Host);

    /// <summary>Plans a run.</summary>
    public static MemoryPlan Of(LlamaConfig config, MemorySettings settings)
    {
        var memory = new TrainingMemory(config, settings);
        var moments = memory.Moments();
        var largest = moments.MaxBy(moment => moment.Sum(part => part.Bytes))!;
        var passing = moments.SelectMany(moment => moment).GroupBy(part => part.Use)
            .Select(parts => largest.FirstOrDefault(part => part.Use == parts.Key) ?? parts.MaxBy(part => part.Bytes)! with { AtPeak = false }).ToList();
        var staying = memory.StateOnDevice().ToList();
        var process = settings.OnGpu
            ? new MemoryPart(MemoryUse.CudaContext, CudaContextBytes + (long)(CacheHoles * (Peak(staying) + Peak(passing))))
            : new MemoryPart(MemoryUse.Process, ProcessBytes + (long)(HeapHoles * Peak(passing)));
        return new MemoryPlan(
            [.. staying.Concat(passing).Where(part => part.Bytes > 0), process],
            settings.OnGpu
                ? [.. memory.OnHost().Where(part => part.Bytes > 0), new MemoryPart(MemoryUse.HostProcess, HostProcessBytes)]
                : []);
    }

    /// <summary>How many parameters a run trains.</summary>
    public static long TrainedParameters(LlamaConfig config, MemorySettings settings) => new TrainingMemory(config, settings).Trained;

    private static long Peak(IReadOnlyList<MemoryPart> parts) => parts.Where(part => part.AtPeak).Sum(part => part.Bytes);
}
