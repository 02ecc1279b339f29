using CutoffLen.Hardware;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>
/// Negative log-likelihoods of tokens: the head and a float32 log-softmax, over chunks of tokens. So logits are never
/// [T, V].
/// </summary>
public static class TokenLikelihood
{
    private const long LogitsOnCpu = 4 << 20; // float32 elements of a chunk: 16 MiB, about a last-level cache
    private const long LogitsOnGpu = 64 << 20; // enough to fill it

    // Fewer rows would read a large head from memory too often.
    private const long FewestTokens = 128;
    private const long MostTokens = 4096;

    /// <summary>Tokens of a chunk of a model's logits.</summary>
    internal static long ChunkTokens(LlamaForCausalLM model) => ChunkTokens(model.Config.VocabSize, model.Device.type != DeviceType.CPU);

    private static long ChunkTokens(long vocabulary, bool onGpu) =>
        Math.Clamp((onGpu ? LogitsOnGpu : LogitsOnCpu) / vocabulary, FewestTokens, MostTokens);

    /// <summary>
    /// Bytes of a chunk: logits in the model's dtype, of <paramref name="width"/> bytes a number, and in float32 where that is
    /// another.
    /// </summary>
    internal static long ChunkBytes(long tokens, long vocabulary, int width, bool onGpu) =>
        Math.Min(tokens, ChunkTokens(vocabulary, onGpu)) * vocabulary * (width == sizeof(float) ? width : width + sizeof(float));

    /// <summary>
    /// The NLL in nats, float32 [T - 1], of each token of a document (int64 [T]) after the tokens before it, from the hidden
    /// states [T, C] that come out of the final norm.
    /// </summary>
    public static Tensor OfDocument(LlamaForCausalLM model, Tensor hidden, Tensor tokens) =>
        NegativeLog(model, hidden.narrow(0, 0, tokens.shape[0] - 1), tokens.narrow(0, 1, tokens.shape[0] - 1));

    /// <summary>
    /// Negative log-likelihoods in nats, float32 [N], of <paramref name="targets"/> (int64 [N]) after the hidden
    /// states [N, C] that come out of the final norm.
    /// </summary>
    public static Tensor NegativeLog(LlamaForCausalLM model, Tensor hidden, Tensor targets)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var count = hidden.shape[0];
        var nll = empty([count], ScalarType.Float32, hidden.device);
        var step = ChunkTokens(model);
        for (long at = 0; at < count; at += step)
        {
            using var chunk = NewDisposeScope();
            var rows = Math.Min(step, count - at);
            var logProbabilities = LogProbabilities(model, hidden.narrow(0, at, rows), at).Float32; // [n, V]
            nll.narrow(0, at, rows).copy_(logProbabilities.gather(-1, targets.narrow(0, at, rows).unsqueeze(-1)).squeeze(-1)).neg_();
        }

        return nll.MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Log-probabilities [n, V] of hidden states [n, C] in float32, and memory of the same shape in the dtype of the hidden
    /// states: the same memory where that is float32. Both are overwritten by the next call. The first row is token
    /// <paramref name="firstToken"/>.
    /// </summary>
    internal static (Tensor Float32, Tensor InModelDtype) LogProbabilities(LlamaForCausalLM model, Tensor hidden, long firstToken)
    {
        long[] shape = [hidden.shape[0], model.Config.VocabSize];
        var logits = model.Workspace.Take("logits", hidden.dtype, hidden.device, shape);
        model.Logits(hidden, logits, firstToken);
        var float32 = hidden.dtype == ScalarType.Float32 ? logits : model.Workspace.Take("float32 logits", ScalarType.Float32, hidden.device, shape).copy_(logits);
        Kernels.LogSoftmaxInPlace(float32);
        return (float32, logits);
    }
}
