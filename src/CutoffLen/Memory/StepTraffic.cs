using CutoffLen.Models.Llama;

namespace CutoffLen.Memory;

/// <summary>
/// Bytes that each rank sends in an optimizer step; it receives as many. An all-gather or a reduce-scatter among N ranks moves
/// (N - 1) / N of the whole tensor, as rings do it.
/// </summary>
public static class StepTraffic
{
    /// <summary>Of the ranks together: gradients are reduce-scattered in float32, trained weights all-gathered.</summary>
    public static long DataParallelBytes(LlamaConfig config, MemorySettings settings) =>
        (settings.Ranks - 1) * new TrainingMemory(config, settings).Shard * (sizeof(float) + settings.Width);

    /// <summary>
    /// Of context parallelism: in each layer keys and values are all-gathered in the forward pass and again in the backward pass,
    /// and their gradients are reduce-scattered.
    /// </summary>
    public static long ContextParallelBytes(LlamaConfig config, MemorySettings settings)
    {
        const long collectives = 3 * 2;
        var ofOthers = settings.Tokens * (settings.ContextParallelSize - 1);
        return collectives * settings.AccumulationSteps * config.NumHiddenLayers * ofOthers * config.NumKeyValueHeads * config.HeadDim * settings.Width;
    }
}
