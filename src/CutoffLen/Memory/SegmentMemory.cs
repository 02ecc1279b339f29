using CutoffLen.Checkpoints.Lora;
using CutoffLen.Models.Llama;
using CutoffLen.Training;

namespace CutoffLen.Memory;

/// <summary>
/// Bytes per token of the dense segments of <see cref="LayerwiseBackprop"/>: their inputs, and what autograd keeps of each
/// operation. An operation keeps an operand only where the other one needs a gradient.
/// </summary>
internal sealed class SegmentMemory
{
    private const long Float32 = sizeof(float);

    private readonly LlamaConfig config;
    private readonly AdapterConfig? lora;
    private readonly long width;
    private readonly long hidden;
    private readonly long inner;
    private readonly long queries;
    private readonly long keys;

    public SegmentMemory(LlamaConfig config, AdapterConfig? lora, int width)
    {
        (this.config, this.lora, this.width) = (config, lora, width);
        (hidden, inner) = (config.HiddenSize, config.IntermediateSize);
        queries = (long)config.NumAttentionHeads * config.HeadDim;
        keys = (long)config.NumKeyValueHeads * config.HeadDim;
    }

    /// <summary>The residual stream.</summary>
    public long Stream => width * hidden;

    /// <summary>Attention's result, and the log-sum-exp of its scores.</summary>
    public long Attended => (width * queries) + (Float32 * config.NumAttentionHeads);

    /// <summary>Queries, keys and values.</summary>
    public long Heads => width * (queries + (2 * keys));

    /// <summary>What the graph of the first half, norm and projections, keeps beside its inputs, with its results.</summary>
    public long ProjectGraph => Norm("input_layernorm", "q_proj", "k_proj", "v_proj") + Heads
        + Adapters(hidden, "q_proj", "k_proj", "v_proj");

    /// <summary>What the graph of the second half keeps: output projection, norm, MLP.</summary>
    public long FinishGraph => Norm("post_attention_layernorm", "gate_proj", "up_proj") + (width == Float32 ? Float32 * hidden : 0)
        + (Saves("o_proj") ? width * queries : 0) + (width * inner * (Saves("down_proj") ? 4 : 3)) + Adapters(queries, "o_proj") + Adapters(hidden, "gate_proj", "up_proj")
        + Adapters(inner, "down_proj");

    /// <summary>The final norm and its result.</summary>
    public long FinalGraph => Norm("norm") + Stream + (width == Float32 ? Stream : 0);

    /// <summary>The most that a segment takes for a moment, forward or backward: float32 steps of a norm, or of the MLP.</summary>
    public long Passing => Math.Max((3 * Float32 * hidden) + (2 * Stream), 3 * width * inner);

    /// <summary>The gradient of the largest projection before it is added to the others, in bytes, not per token.</summary>
    public long LargestWeightGradient => lora is null ? width * hidden * Math.Max(inner, queries) : 0;

    /// <summary>A norm keeps its float32 input, the normed input where its weight is trained, and its result where a projection needs it.</summary>
    private long Norm(string name, params string[] projections)
    {
        var normed = IsTrained(name) ? width * hidden : 0;
        var result = projections.Any(Saves) ? width * hidden : 0;
        var input = width == Float32 ? 0 : Float32 * hidden; // in float32 it is the residual stream itself
        return input + normed + result + (2 * Float32);
    }

    /// <summary>Whether a projection keeps its input.</summary>
    private bool Saves(string projection) => lora is null || (HasAdapter(projection) && lora.LoraDropout == 0);

    /// <summary>What adapters keep: r numbers per token, and with dropout a mask and a masked input each.</summary>
    private long Adapters(long inputs, params string[] projections) => projections.Count(HasAdapter)
        * width * (lora?.R + (lora?.LoraDropout > 0 ? 2 * inputs : 0) ?? 0);

    private bool IsTrained(string module) => lora is null || lora.ModulesToSave.Contains(module);

    private bool HasAdapter(string projection) => lora?.TargetModules.Contains(projection) == true;
}
