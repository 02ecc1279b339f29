using CutoffLen.Common;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Memory;

/// <summary>Bytes that a forward pass for scoring takes beside the weights, estimated.</summary>
/// <param name="config">The architecture.</param>
/// <param name="dtype">Of the weights.</param>
public sealed class ScoringMemory(LlamaConfig config, ScalarType dtype)
{
    // A block of attention scores and a chunk of logits, each with its copies.
    private const long Fixed = 512L << 20;

    /// <summary>Bytes for a batch of so many tokens: those of one decoder layer.</summary>
    public long Bytes(long tokens)
    {
        long size = dtype == ScalarType.Float32 ? 4 : 2;
        long hidden = config.HiddenSize;
        long heads = (config.NumAttentionHeads + (2L * config.NumKeyValueHeads)) * config.HeadDim;
        // In float32: two norms with their squares and results, rotary tables. In the model's dtype: three residual streams,
        // projections and their encoded copies, the MLP's four stages.
        var perToken = (24 * hidden) + (size * 8 * hidden) + (size * 3 * heads) + (size * 4L * config.IntermediateSize) + (12L * config.HeadDim);
        return Fixed + (perToken * tokens);
    }

    /// <summary>The most tokens of a forward pass that fits so many bytes.</summary>
    public long LongestWithin(long bytes) => Math.Max(0, (bytes - Fixed) / Math.Max(1, Bytes(1) - Fixed));

    /// <summary>Refuses a batch of so many tokens that does not fit.</summary>
    /// <exception cref="UserException">The batch does not fit; says what would.</exception>
    public void Check(long tokens, long available)
    {
        if (Bytes(tokens) > available)
        {
            throw new UserException(
                FormattableString.Invariant($"reading {tokens} tokens at once needs about {Bytes(tokens) / 1e9:0.0} GB beside the weights, and {available / 1e9:0.0} GB are free; ")
                + $"lengths and --batch-tokens up to {LongestWithin(available)} would fit");
        }
    }
}
