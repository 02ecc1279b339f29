using CutoffLen.Models.Llama;

namespace CutoffLen.Memory;

/// <summary>
/// Bytes that each rank sends in an optimizer step; it receives as many. An all-gather or a reduce-scatter among P ranks moves
/// (P - 1) / P of the whole tensor, as rings do it.
/// </summary>
public static class StepTraffic
{
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
