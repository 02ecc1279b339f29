using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;

namespace CutoffLen.Memory;

/// <summary>
/// Bytes of a training run. Its state stays. A step takes and gives back more, most at the moments listed here (see
/// <see cref="LayerwiseBackprop"/>).
/// </summary>
internal sealed class TrainingMemory
{
    private const long Float32 = sizeof(float);

    private readonly LlamaConfig config;
    private readonly MemorySettings settings;
    private readonly SegmentMemory segment;
    private readonly AttentionMemory attention;
    private readonly long adapters; // numbers of A and B

    public TrainingMemory(LlamaConfig config, MemorySettings settings)
    {
        (this.config, this.settings) = (config, settings);
        segment = new SegmentMemory(config, settings.Lora, settings.Width);
        attention = new AttentionMemory(config, settings.Bands, settings.Width, BlockSize.For(settings.OnGpu));
        var groups = settings.Lora is { } lora ? new LoraAdapters(config, lora, 0).Groups(1) : [];
        adapters = groups.Take(2).Sum(group => group.Count);
        Trained = settings.Lora is null ? LlamaParameters.Count(config) : groups.Sum(group => group.Count);
    }

    /// <summary>Trained parameters.</summary>
    public long Trained { get; }

    private long Layers => config.NumHiddenLayers;

    private long Tokens => settings.Tokens;

    private bool KeepsGraphs => settings.Recompute == Recompute.None;

    private bool OffloadsInputs => settings is { OnGpu: true, OffloadInputs: true, Recompute: Recompute.Layers };

    private bool OffloadsOptimizer => settings is { OnGpu: true, OffloadOptimizer: true };

    private MemoryUse Graphs => KeepsGraphs ? MemoryUse.LayerGraphs : MemoryUse.OneLayerGraph;

    /// <summary>What stays on the device for the whole run.</summary>
    public IEnumerable<MemoryPart> StateOnDevice() =>
    [
        new(MemoryUse.Weights, settings.Width * (LlamaParameters.Count(config) + adapters)),
        new(MemoryUse.Gradients, settings.Width * Trained),
        new(MemoryUse.GradientSum, settings.AccumulationSteps > 1 && settings.Width < Float32 ? Float32 * Trained : 0),
        .. OffloadsOptimizer ? [] : OptimizerState(),
        new(MemoryUse.PositionTables, attention.Kept(settings.BatchSize, settings.Cutoff) + (settings.OnGpu ? 0 : settings.Bands.HostBytesPerToken * settings.Cutoff)),
    ];

    /// <summary>What is offloaded to host memory.</summary>
    public IEnumerable<MemoryPart> OnHost() =>
    [
        .. OffloadsOptimizer ? OptimizerState() : [],
        PerToken(MemoryUse.LayerInputs, OffloadsInputs ? Layers * (segment.Stream + segment.Attended) : 0),
    ];

    /// <summary>The moments of a step; in each, parts that exist together.</summary>
    public IReadOnlyList<IReadOnlyList<MemoryPart>> Moments() => [Head(), AttentionBackward(), SegmentBackward(), OptimizerStep()];

    private IEnumerable<MemoryPart> OptimizerState()
    {
        var hasMaster = settings.Width < Float32 || OffloadsOptimizer;
        var moments = settings.Optimizer switch { OptimizerKind.Adamw => 2, OptimizerKind.Lion => 1, _ => 0 };
        return [new(MemoryUse.MasterWeights, hasMaster ? Float32 * Trained : 0), new(MemoryUse.OptimizerMoments, moments * Float32 * Trained)];
    }

    /// <summary>The head, after the whole forward pass: everything is kept.</summary>
    private List<MemoryPart> Head() =>
    [
        KeptInputs(Layers, 1),
        PerToken(Graphs, (KeepsGraphs ? Layers * (segment.ProjectGraph + segment.FinishGraph) : segment.FinishGraph) + segment.FinalGraph),
        PerToken(MemoryUse.StreamGradients, segment.Stream),
        new(MemoryUse.Logits, HeadLoss.ChunkBytes(Tokens, config.VocabSize, settings.Width)),
    ];

    /// <summary>The last attention's backward pass, after that of the segment behind it.</summary>
    private List<MemoryPart> AttentionBackward() =>
    [
        KeptInputs(Layers, 2),
        PerToken(Graphs, GraphOf(Layers - 1)),
        PerToken(MemoryUse.StreamGradients, (3 * segment.Stream) + segment.Attended),
        new(MemoryUse.Attention, Math.Max( // about the same for rows joined into one
            attention.Backward(settings.BatchSize, settings.Cutoff),
            settings.MayFuse && settings.Bands.Bands == 1 ? attention.FusedBackward(settings.BatchSize, settings.Cutoff) : 0)),
    ];

    /// <summary>The backward pass of the segment before that attention.</summary>
    private List<MemoryPart> SegmentBackward() =>
    [
        KeptInputs(Layers - 1, 1),
        PerToken(Graphs, GraphOf(Layers - 1)),
        PerToken(MemoryUse.StreamGradients, (3 * segment.Stream) + (2 * segment.Heads)),
        new(MemoryUse.LayerSteps, (Tokens * segment.Passing) + segment.LargestWeightGradient),
    ];

    /// <summary>The optimizer goes through its buffers slice by slice, when nothing else is left of the step.</summary>
    private List<MemoryPart> OptimizerStep() =>
        [new(MemoryUse.OptimizerSlices, 4 * Float32 * Math.Min(Trained, FlatParameters.SliceElements(settings.OnGpu)))];

    /// <summary>The inputs of so many segments; where they are offloaded, of those that are loaded, and all log-sum-exps.</summary>
    private MemoryPart KeptInputs(long segments, long loaded)
    {
        var logSumExps = Float32 * config.NumAttentionHeads * Layers;
        return PerToken(MemoryUse.LayerInputs, OffloadsInputs
            ? (Math.Min(segments, loaded) * (segment.Stream + segment.Attended)) + logSumExps
            : segments * (segment.Stream + segment.Attended));
    }

    /// <summary>The graphs of so many segments from the first on; only the last one's where layers are recomputed.</summary>
    private long GraphOf(long segments)
    {
        var whole = segment.ProjectGraph + segment.FinishGraph;
        return KeepsGraphs ? (segments * whole) + segment.ProjectGraph : whole + segment.Stream;
    }

    private MemoryPart PerToken(MemoryUse use, long bytes) => new(use, Tokens * bytes);
}
