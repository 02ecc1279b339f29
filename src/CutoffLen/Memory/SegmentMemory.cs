using CutoffLen.Checkpoints.Lora;
using CutoffLen.Models.Llama;
using CutoffLen.Training;

namespace CutoffLen.Memory;

/// <summary>
/// Bytes a token that the dense segments of <see cref="LayerwiseBackprop"/> hold: what goes in, and what autograd keeps
/// of each operation. An operation keeps an operand only where the other one is trained or carries a gradient.
/// </summary>
internal sealed class SegmentMemory
{
    private const long Wide = sizeof(float);

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

    /// <summary>What one attention hands on: its result, and the log-sum-exp of its scores.</summary>
    public long Attended => (width * queries) + (Wide * config.NumAttentionHeads);

    /// <summary>Queries, keys and values.</summary>
    public long Heads => width * (queries + (2 * keys));

    /// <summary>What the graph of the first half keeps beside its inputs: norm and projections, with their results.</summary>
    public long ProjectGraph => Norm("input_layernorm", "q_proj", "k_proj", "v_proj") + Heads
        + Adapters(hidden, "q_proj", "k_proj", "v_proj");

    /// <summary>The same of the second half: output projection, norm, MLP.</summary>
    public long FinishGraph => Norm("post_attention_layernorm", "gate_proj", "up_proj") + (width == Wide ? Wide * hidden : 0)
        + (Saves("o_proj") ? width * queries : 0) + (width * inner * (Saves("down_proj") ? 4 : 3)) + Adapters(queries, "o_proj") + Adapters(hidden, "gate_proj", "up_proj")
        + Adapters(inner, "down_proj");

    /// <summary>The final norm and its result.</summary>
    public long FinalGraph => Norm("norm") + Stream + (width == Wide ? Stream : 0);

    /// <summary>The most that computing or differentiating a segment takes for a moment: float32 steps of a norm, or of the MLP.</summary>
    public long Passing => Math.Max((3 * Wide * hidden) + (2 * Stream), 3 * width * inner);

    /// <summary>Bytes, not per token: the gradient of the largest projection, before it is added to the others.</summary>
    public long LargestWeightGradient => lora is null ? width * hidden * Math.Max(inner, queries) : 0;

    /// <summary>A norm keeps its float32 input, what it weighs (where the weight is trained), and its result where a projection needs that.</summary>
    private long Norm(string name, params string[] projections)
    {
        var weighed = IsTrained(name) ? width * hidden : 0;
        var result = projections.Any(Saves) ? width * hidden : 0;
        var input = width == Wide ? 0 : Wide * hidden; // in float32 it is the residual stream itself
        return input + weighed + result + (2 * Wide);
    }

    /// <summary>Whether a projection keeps its input.</summary>
    private bool Saves(string projection) => lora is null || (HasAdapter(projection) && lora.LoraDropout == 0);

    /// <summary>What adapters keep: r numbers a token, with dropout also each one's mask and masked input.</summary>
    private long Adapters(long inputs, params string[] projections) => projections.Count(HasAdapter)
        * width * (lora?.R + (lora?.LoraDropout > 0 ? 2 * inputs : 0) ?? 0);

    private bool IsTrained(string module) => lora is null || lora.ModulesToSave.Contains(module);

    private bool HasAdapter(string projection) => lora?.TargetModules.Contains(projection) == true;
}
