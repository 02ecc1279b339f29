using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;

namespace CutoffLen.Memory;

/// <summary>
/// Bytes of a training run: its state, and the memory of a step. The step's is taken once and kept in the network's workspace
/// (see <see cref="LayerwiseBackprop"/>), so all of it counts at once.
/// </summary>
internal sealed class TrainingMemory
{
    private const long Float32 = sizeof(float);

    private readonly LlamaConfig config;
    private readonly MemorySettings settings;
    private readonly AttentionMemory attention;
    private readonly long adapters; // numbers of A and B
    private readonly long hidden;
    private readonly long inner;
    private readonly long queries;
    private readonly long keys;

    public TrainingMemory(LlamaConfig config, MemorySettings settings)
    {
        (this.config, this.settings) = (config, settings);
        (hidden, inner) = (config.HiddenSize, config.IntermediateSize);
        (queries, keys) = ((long)config.NumAttentionHeads * config.HeadDim, (long)config.NumKeyValueHeads * config.HeadDim);
        attention = new AttentionMemory(config, settings.Bands, settings.Width, BlockSize.For(settings.OnGpu));
        var groups = settings.Lora is { } lora ? new LoraAdapters(config, lora, 0).Groups(1) : [];
        adapters = groups.SelectMany(group => group.Parameters).Where(parameter => parameter.Name.Contains(".lora_", StringComparison.Ordinal)).Sum(parameter => parameter.Count);
        Trained = settings.Lora is null ? LlamaParameters.Count(config) + settings.EquationParameters : groups.Sum(group => group.Count);
    }

    /// <summary>Trained parameters.</summary>
    public long Trained { get; }

    /// <summary>The trained parameters whose optimizer state a rank has: ZeRO stage 1.</summary>
    public long Shard => (Trained + settings.Ranks - 1) / settings.Ranks;

    private long Quantized => settings.Quantization is null ? 0 : LlamaParameters.Projections(config).Count; // numbers

    private long Layers => config.NumHiddenLayers;

    private long Width => settings.Width;

    private bool OffloadsInputs => settings is { OnGpu: true, OffloadInputs: true, Recompute: Recompute.Layers };

    private bool OffloadsOptimizer => settings is { OnGpu: true, OffloadOptimizer: true };

    /// <summary>The residual stream, attention's result and the log-sum-exp of its scores: a layer's inputs, per token.</summary>
    private long LayerInput => (Width * (hidden + queries)) + (Float32 * config.NumAttentionHeads);

    private long Heads => Width * (queries + (2 * keys));

    /// <summary>What the device holds.</summary>
    public IEnumerable<MemoryPart> OnDevice() =>
    [
        new(MemoryUse.Weights, (Width * (LlamaParameters.Count(config) + adapters + settings.EquationParameters - Quantized)) + Nf4Weight.Bytes(Quantized)),
        new(MemoryUse.Gradients, Width * Trained),
        new(MemoryUse.GradientSum, settings.AccumulationSteps > 1 && Width < Float32 ? Float32 * Trained : 0),
        new(MemoryUse.GradientShard, settings.Ranks > 1 ? Float32 * Shard : 0),
        .. OffloadsOptimizer ? [] : OptimizerState(),
        new(MemoryUse.PositionTables, (settings.Bands.TableBytesPerToken + (settings.OnGpu ? 0 : settings.Bands.HostBytesPerToken)) * settings.Cutoff),
        PerToken(MemoryUse.LayerInputs, (Width * hidden) + (OffloadsInputs ? 2 * LayerInput : Layers * LayerInput)),
        PerToken(MemoryUse.Activations, Activations()),
        PerToken(MemoryUse.StreamGradients, Width * ((2 * hidden) + queries)), // hidden states, stream, attention's result
        PerToken(MemoryUse.AngleGradients, settings.EquationParameters > 0 ? OfAngles() : 0),
        new(MemoryUse.Chunk, Math.Min(settings.Tokens, TokenRange.Most(settings.OnGpu)) * OfChunk()),
        new(MemoryUse.Dequantized, settings.Quantization is null ? 0 : Nf4Weight.DequantizedBytes(LlamaParameters.Projections(config).Largest, settings.Width, settings.OnGpu)),
        .. Attention(),
        new(MemoryUse.Logits, TokenLikelihood.ChunkBytes(settings.Tokens, config.VocabSize, settings.Width, settings.OnGpu)),
        new(MemoryUse.OptimizerSlices, Width == Float32 ? 0 : Float32 * Math.Min(Shard, FlatParameters.SliceElements(settings.OnGpu))),
    ];

    /// <summary>What is offloaded to host memory.</summary>
    public IEnumerable<MemoryPart> OnHost() =>
    [
        .. OffloadsOptimizer ? OptimizerState() : [],
        PerToken(MemoryUse.LayerInputs, OffloadsInputs ? Layers * Width * (hidden + queries) : 0),
    ];

    /// <summary>Queries of a rank that shares its rows are computed chunk by chunk.</summary>
    private IEnumerable<MemoryPart> Attention()
    {
        var (batch, ranks) = (settings.BatchSize, settings.ContextParallelSize);
        var (queryTokens, keyTokens) = ranks == 1 ? (settings.Cutoff, settings.Cutoff) : (settings.ChunkTokens, 2 * ranks * settings.ChunkTokens);
        var fuses = settings.MayFuse && settings.Bands.IsPlain;
        yield return new(MemoryUse.Attention, fuses ? attention.Fused(batch, queryTokens, keyTokens, settings.OnGpu) : attention.Blocked(batch, queryTokens, keyTokens));
        yield return new(MemoryUse.GatheredHeads, ranks == 1 ? 0 : attention.Gathered(batch, queryTokens, keyTokens, settings.OnGpu));
    }

    private IEnumerable<MemoryPart> OptimizerState()
    {
        var hasMaster = Width < Float32 || OffloadsOptimizer;
        var moments = settings.Optimizer switch { OptimizerKind.Adamw => 2, OptimizerKind.Lion => 1, _ => 0 };
        return [new(MemoryUse.MasterWeights, hasMaster ? Float32 * Shard : 0), new(MemoryUse.OptimizerMoments, moments * Float32 * Shard)];
    }

    /// <summary>What layers keep beside their inputs, per token: heads, the stream after attention, gate and up.</summary>
    private long Activations() => settings.Recompute switch
    {
        Recompute.None => Layers * (Heads + (Width * (hidden + (2 * inner)))),
        Recompute.Mlp => Layers * (Heads + (Width * hidden)),
        _ => Heads,
    };

    /// <summary>
    /// Memory per token of a chunk: norms with two float32 steps of their backward pass, a projection before its rotation, the
    /// MLP's activation and its gradient, what is computed again, and an adapter's result with the inputs that dropout left.
    /// Norms of queries and keys, and of results, have their inputs again, and the gradients of these.
    /// </summary>
    private long OfChunk()
    {
        var again = settings.Recompute switch { Recompute.None => 0, Recompute.Mlp => 2 * inner, _ => hidden + (2 * inner) };
        var adapter = settings.Lora is { } lora ? Width * inner * (lora.LoraDropout > 0 ? 3 : 1) : 0;
        var (normsHeads, normsAfter) = (config.Family.QueryKeyNorm != QueryKeyNorm.None, config.Family.NormsAfter);
        var moreNorms = (normsHeads ? 2 * queries : 0) + (normsAfter ? 3 * hidden : 0);
        return (Width * ((2 * hidden) + Math.Max(queries, keys) + (2 * inner) + again + moreNorms)) + (2 * Float32 * (normsHeads ? Math.Max(hidden, queries) : hidden))
            + (Width < Float32 ? Float32 * queries : 0) + adapter;
    }

    /// <summary>The angles' gradients and their copy for the host, per token; of the queries of a layer, products of halves, and float32 copies with their gradients.</summary>
    private long OfAngles() => Float32 * (config.RotaryDim + (queries / 2) + (Width < Float32 ? 2 * queries : 0));

    private MemoryPart PerToken(MemoryUse use, long bytes) => new(use, settings.Tokens * bytes);
}
