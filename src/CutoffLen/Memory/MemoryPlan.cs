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

    /// <summary>How the projections are kept; null where all weights are floating point numbers.</summary>
    public Quantization? Quantization { get; init; }

    /// <summary>The adapters; null when all weights are trained.</summary>
    public AdapterConfig? Lora { get; init; }

    /// <summary>Trained parameters of CLEX's equation; 0 where none is trained.</summary>
    public long EquationParameters { get; init; }

    /// <summary>Ranks of the run; the optimizer's state is shared among them.</summary>
    public int Ranks { get; init; } = 1;

    /// <summary>P, ranks that share each sequence.</summary>
    public int ContextParallelSize { get; init; } = 1;

    /// <summary>Tokens of a forward pass on this rank: B*T, or with padding its share of them.</summary>
    public long Tokens => (long)BatchSize * (ContextParallelSize == 1 ? Cutoff : 2 * ChunkTokens);

    /// <summary>n, tokens of one of the 2P chunks of a sequence.</summary>
    internal int ChunkTokens => (Cutoff + (2 * ContextParallelSize) - 1) / (2 * ContextParallelSize);
}

/// <summary>What memory is used for in training.</summary>
internal enum MemoryUse
{
    // State.
    Weights,
    Gradients,
    GradientSum,
    GradientShard,
    MasterWeights,
    OptimizerMoments,
    PositionTables,

    // Of a step.
    LayerInputs,
    Activations,
    StreamGradients,
    AngleGradients,
    Chunk,
    Dequantized,
    Attention,
    GatheredHeads,
    Logits,
    OptimizerSlices,

    // Beside tensors.
    CudaLibraries,
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
        MemoryUse.GradientShard => "gradients of a shard, float32",
        MemoryUse.MasterWeights => "master weights, float32",
        MemoryUse.OptimizerMoments => "optimizer moments, float32",
        MemoryUse.PositionTables => "position tables",
        MemoryUse.LayerInputs => "inputs of layers",
        MemoryUse.Activations => "activations of layers",
        MemoryUse.StreamGradients => "gradients between layers",
        MemoryUse.AngleGradients => "gradients of rotation angles",
        MemoryUse.Chunk => "scratch buffers of a chunk",
        MemoryUse.Dequantized => "a dequantized weight",
        MemoryUse.Attention => "attention workspace",
        MemoryUse.GatheredHeads => "keys and values of all ranks",
        MemoryUse.Logits => "a chunk of logits",
        MemoryUse.OptimizerSlices => "the optimizer's slices",
        MemoryUse.CudaLibraries => "CUDA kernels and allocator",
        MemoryUse.Process => "process and heap",
        _ => "process with CUDA's libraries",
    };

    /// <summary>Its size.</summary>
    public long Bytes { get; }

    internal MemoryUse Use { get; }
}

/// <summary>The peak memory of a training run, predicted by arithmetic alone.</summary>
/// <param name="Device">What the model's device holds; on the CPU that is everything.</param>
/// <param name="Host">What host memory holds beside a GPU; nothing on the CPU.</param>
public sealed record MemoryPlan(IReadOnlyList<MemoryPart> Device, IReadOnlyList<MemoryPart> Host)
{
    // Measured on the CPU: the runtime, libtorch, oneDNN's and MKL's code and buffers, this program.
    private const long ProcessBytes = 255_000_000;
    private const long BandBytes = 20_000_000; // of each band after the first: the runtime's garbage, holes of the C heap
    private const long BFloat16Bytes = 60_000_000; // oneDNN's products in bfloat16: code, weights in its own layout

    // Measured on a GPU, beside the bare context: kernels as they are loaded, cuBLAS's workspaces, and the holes of torch's
    // allocator.
    private const long CudaLibraryBytes = 200_000_000;
    private const double CacheHoles = 0.02;
    private const long HostProcessBytes = 2_000_000_000; // measured: 1.3 to 1.9 GB

    /// <summary>Peak bytes on the device.</summary>
    public long DeviceBytes => Sum(Device);

    /// <summary>Peak bytes in host memory, 0 where the device is the CPU.</summary>
    public long HostBytes => Sum(Host);

    /// <summary>Plans a run.</summary>
    public static MemoryPlan Of(LlamaConfig config, MemorySettings settings)
    {
        var memory = new TrainingMemory(config, settings);
        var tensors = memory.OnDevice().Where(part => part.Bytes > 0).ToList();
        return settings.OnGpu
            ? new MemoryPlan(
                [.. tensors, new MemoryPart(MemoryUse.CudaLibraries, CudaLibraryBytes + (long)(CacheHoles * Sum(tensors)))],
                [.. memory.OnHost().Where(part => part.Bytes > 0), new MemoryPart(MemoryUse.HostProcess, HostProcessBytes)])
            : new MemoryPlan(
                [.. tensors, new MemoryPart(MemoryUse.Process, ProcessBytes + ((settings.Bands.Bands - 1) * BandBytes) + (settings.Width < sizeof(float) ? BFloat16Bytes : 0))],
                []);
    }

    /// <summary>How many parameters a run trains.</summary>
    public static long TrainedParameters(LlamaConfig config, MemorySettings settings) => new TrainingMemory(config, settings).Trained;

    private static long Sum(IEnumerable<MemoryPart> parts) => parts.Sum(part => part.Bytes);
}
