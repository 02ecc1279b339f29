using CutoffLen.Models.Llama;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;

namespace CutoffLen.Memory;

/// <summary>Bytes that a step takes and gives back, at the moments when they are most: see <see cref="LayerwiseBackprop"/>.</summary>
internal sealed class StepMemory
{
    private const string Inputs = "inputs of layers";
    private const string Graphs = "graphs of layers";
    private const string OneLayer = "one layer's graph";
    private const string Streams = "gradients between layers";
    private const string Steps = "a layer's steps in float32";
    private const string Attention = "attention workspace";
    private const string Logits = "a chunk of logits";

    private readonly LlamaConfig config;
    private readonly MemorySettings settings;
    private readonly SegmentMemory segment;
    private readonly AttentionMemory attention;

    public StepMemory(LlamaConfig config, MemorySettings settings)
    {
        (this.config, this.settings) = (config, settings);
        segment = new SegmentMemory(config, settings.Lora, settings.Width);
        attention = settings.Attention(config);
    }

    private long Layers => config.NumHiddenLayers;

    private long Tokens => settings.Tokens;

    private bool Keeps => settings.Recompute == Recompute.None;

    private bool Parks => settings is { OnGpu: true, OffloadInputs: true, Recompute: Recompute.Layers };

    /// <summary>What waits in host memory for its backward pass.</summary>
    public MemoryPart Parked => Part(Inputs, Parks ? Layers * (segment.Stream + segment.Attended) : 0);

    /// <summary>The moments of a step; in each, parts that are there together.</summary>
    public IReadOnlyList<IReadOnlyList<MemoryPart>> Moments() => [Head(), AttentionBackward(), SegmentBackward(), Optimizer()];

    /// <summary>The head, after the whole forward pass: everything is kept.</summary>
    private List<MemoryPart> Head() =>
    [
        .. Kept(Layers, 1),
        Part(Keeps ? Graphs : OneLayer, (Keeps ? Layers * (segment.ProjectGraph + segment.FinishGraph) : segment.FinishGraph) + segment.FinalGraph),
        Part(Streams, segment.Stream),
        new(Logits, HeadLoss.ChunkBytes(Tokens, config.VocabSize, config.HiddenSize, settings.Width)),
    ];

    /// <summary>The last attention's backward pass, when the segment after it is done.</summary>
    private List<MemoryPart> AttentionBackward() =>
    [
        .. Kept(Layers, 2),
        Part(Keeps ? Graphs : OneLayer, Graph(Layers - 1)),
        Part(Streams, (3 * segment.Stream) + segment.Attended),
        new(Attention, Math.Max( // of rows joined into one it is about the same
            attention.Backward(settings.BatchSize, settings.Cutoff),
            settings.MayFuse && settings.Bands.Bands == 1 ? attention.FusedBackward(settings.BatchSize, settings.Cutoff) : 0)),
    ];

    /// <summary>The backward pass of the segment before that attention.</summary>
    private List<MemoryPart> SegmentBackward() =>
    [
        .. Kept(Layers - 1, 1),
        Part(Keeps ? Graphs : OneLayer, Graph(Layers - 1)),
        Part(Streams, (3 * segment.Stream) + (2 * segment.Heads)),
        new(Steps, (Tokens * segment.Passing) + segment.LargestWeightGradient),
    ];

    /// <summary>The optimizer goes through its buffers slice by slice, when nothing else is left of the step.</summary>
    private List<MemoryPart> Optimizer() =>
        [new("the optimizer's slices", 4 * sizeof(float) * Math.Min(StateMemory.TrainedCount(config, settings), FlatParameters.SliceElements(settings.OnGpu)))];

    /// <summary>The inputs of so many segments, of which so many are on the device where the others wait in host memory.</summary>
    private IEnumerable<MemoryPart> Kept(long segments, long fetched)
    {
        var sums = sizeof(float) * (long)config.NumAttentionHeads * Layers;
        yield return Part(Inputs, Parks
            ? (Math.Min(segments, fetched) * (segment.Stream + segment.Attended)) + sums
            : segments * (segment.Stream + segment.Attended));
    }

    /// <summary>The graphs of so many segments from the first on; only the last one's where layers are recomputed.</summary>
    private long Graph(long segments)
    {
        var whole = segment.ProjectGraph + segment.FinishGraph;
        return Keeps ? (segments * whole) + segment.ProjectGraph : whole + segment.Stream;
    }

    private MemoryPart Part(string name, long bytesPerToken) => new(name, Tokens * bytesPerToken);
}
