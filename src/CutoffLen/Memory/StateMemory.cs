using CutoffLen.Models.Llama;
using CutoffLen.Training;

namespace CutoffLen.Memory;

/// <summary>Bytes that stay for the whole run: weights, gradients, the optimizer, tables of positions.</summary>
internal sealed class StateMemory
{
    private const long Wide = sizeof(float);

    private readonly MemorySettings settings;
    private readonly long weights;
    private readonly long attention;

    public StateMemory(LlamaConfig config, MemorySettings settings)
    {
        this.settings = settings;
        Trained = TrainedCount(config, settings);
        var all = LlamaParameters.Count(config);
        weights = settings.Width * (settings.Lora is { } lora ? all + new LoraAdapters(config, lora, 0).Groups(1).Take(2).Sum(g => g.Count) : all);
        attention = settings.Attention(config).Kept(settings.BatchSize, settings.Cutoff);
    }

    /// <summary>Trained parameters.</summary>
    public long Trained { get; }

    /// <summary>How many parameters a run trains.</summary>
    public static long TrainedCount(LlamaConfig config, MemorySettings settings) =>
        settings.Lora is { } lora ? new LoraAdapters(config, lora, 0).Groups(1).Sum(group => group.Count) : LlamaParameters.Count(config);

    public IEnumerable<MemoryPart> OnDevice() =>
    [
        new("weights", weights),
        new("gradients", settings.Width * Trained),
        new("sum of gradients, float32", settings.AccumulationSteps > 1 && settings.Width < Wide ? Wide * Trained : 0),
        .. OptimizerIsOnHost ? [] : Optimizer(),
        new("position tables, room for scores", attention + (settings.OnGpu ? 0 : settings.Bands.HostBytesPerToken * settings.Cutoff)),
    ];

    public IEnumerable<MemoryPart> OnHost() => OptimizerIsOnHost ? Optimizer() : [];

    private bool OptimizerIsOnHost => settings.OnGpu && settings.OffloadOptimizer;

    private IEnumerable<MemoryPart> Optimizer()
    {
        var hasMaster = settings.Width < Wide || OptimizerIsOnHost;
        var moments = settings.Optimizer switch { OptimizerKind.Adamw => 2, OptimizerKind.Lion => 1, _ => 0 };
        return [new("master weights, float32", hasMaster ? Wide * Trained : 0), new("optimizer moments, float32", moments * Wide * Trained)];
    }
}
