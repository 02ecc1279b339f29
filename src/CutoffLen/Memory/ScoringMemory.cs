using CutoffLen.Common;
using CutoffLen.Models;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using static TorchSharp.torch;

namespace CutoffLen.Memory;

/// <summary>Bytes that a forward pass for scoring takes on a CPU beside the weights: what it takes a token, and what any length takes.</summary>
public sealed class ScoringMemory
{
    private const long Float32 = sizeof(float);
    private const long TokenBytes = 32; // ids, positions and targets, negative log-likelihoods
    private const long Spare = 64 << 20; // libtorch's and MKL's own buffers

    private readonly long fixedBytes;
    private readonly long bytesPerToken;

    /// <summary>Estimates the passes of a model under its position methods.</summary>
    public ScoringMemory(PositionedModel model)
        : this(model.Model.Config, model.Layers, model.Attention.Path, model.Model.Dtype)
    {
    }

    /// <summary>Estimates the passes of an architecture.</summary>
    public ScoringMemory(LlamaConfig config, LayerPlan layers, AttentionPath path, ScalarType dtype)
    {
        var width = dtype == ScalarType.Float32 ? 4 : 2;
        var bands = BandShape.Of(layers);
        var size = BlockSize.For(onGpu: false);
        var attention = new AttentionMemory(config, bands, width, size);
        var (hidden, inner) = ((long)config.HiddenSize, (long)config.IntermediateSize);
        var queries = (long)config.NumAttentionHeads * config.HeadDim;
        var heads = queries + (2L * config.NumKeyValueHeads * config.HeadDim);
        bytesPerToken = (width * ((2 * hidden) + heads + queries)) // stream, scored rows of it, heads, attention's result
            + (path == AttentionPath.Sdpa && bands.IsPlain ? attention.FusedForward() : attention.BlockedForward())
            + bands.TableBytesPerToken + bands.HostBytesPerToken + TokenBytes;
        // A chunk's norm, projection, stream after attention, gate, up and their product; the norm's square in float32. A result and its norm.
        var results = config.Family.NormsAfter ? 2 * hidden : 0;
        var chunk = TokenRange.Most(onGpu: false) * ((width * ((2 * hidden) + results + queries + (3 * inner))) + (Float32 * hidden));
        var logits = TokenLikelihood.ChunkBytes(long.MaxValue, config.VocabSize, width, onGpu: false);
        var dequantized = config.Quantization is null ? 0 : Nf4Weight.DequantizedBytes(LlamaParameters.Projections(config).Largest, width, onGpu: false);
        fixedBytes = Spare + chunk + logits + dequantized + (size.Scores * (Float32 + (width < Float32 ? width : 0)));
    }

    /// <summary>Bytes for a batch of so many tokens.</summary>
    public long Bytes(long tokens) => fixedBytes + (bytesPerToken * tokens);

    /// <summary>The most tokens of a forward pass that fits so many bytes.</summary>
    public long LongestWithin(long bytes) => Math.Max(0, (bytes - fixedBytes) / bytesPerToken);

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
