using CutoffLen.Checkpoints.Lora;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
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

    /// <summary>Whether its state is in host memory.</summary>
    public bool OffloadOptimizer { get; init; }

    /// <summary>Whether the kept inputs of layers wait in host memory.</summary>
    public bool OffloadInputs { get; init; }

    /// <summary>Whether libtorch's own operator may compute attention.</summary>
    public bool MayFuse { get; init; }

    /// <summary>The adapters; null when all weights are trained.</summary>
    public AdapterConfig? Lora { get; init; }

    /// <summary>B*T, tokens of a forward pass.</summary>
    public long Tokens => (long)BatchSize * Cutoff;

    /// <summary>What attention takes under these settings.</summary>
    internal AttentionMemory Attention(LlamaConfig config) => new(config, Bands, Width, BlockSize.For(OnGpu));
}
