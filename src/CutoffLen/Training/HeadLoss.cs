using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// Cross-entropy of the output head over chunks of tokens: logits exist for one chunk at a time, never [T, V], and
/// each chunk's gradients are formed while its logits are there. Log-softmax is in float32.
/// </summary>
internal static class HeadLoss
{
    /// <summary>Marks targets that are not learned, as in PyTorch.</summary>
    public const long IgnoreIndex = -100;

    private const long LogitsPerChunk = 16 << 20; // float32 elements: 64 MiB

    /// <summary>Tokens of a chunk for a vocabulary of this size.</summary>
    public static long ChunkTokens(long vocabulary) => Math.Clamp(LogitsPerChunk / vocabulary, 16, 4096);

    /// <summary>
    /// Bytes of a chunk: logits and their slope in the model's dtype of <paramref name="width"/> bytes a number, logits and
    /// two steps of their log-sum-exp in float32, and rows of the hidden states' gradient.
    /// </summary>
    public static long ChunkBytes(long tokens, long vocabulary, long hidden, int width)
    {
        var rows = Math.Min(tokens, ChunkTokens(vocabulary));
        var narrow = width == sizeof(float) ? 0 : 2 * width;
        return rows * ((vocabulary * ((3 * sizeof(float)) + narrow)) + (hidden * width));
    }

    /// <summary>
    /// The summed loss in nats (a float64 scalar), and the gradient of <paramref name="scale"/> times that sum:
    /// returned for the hidden states, added to <paramref name="weightGradient"/> for the head.
    /// </summary>
    /// <param name="hidden">[N, C] hidden states after the final norm.</param>
    /// <param name="weight">[V, C] the head.</param>
    /// <param name="targets">[N] int64, <see cref="IgnoreIndex"/> where no token is predicted.</param>
    /// <param name="scale">One over the number of target tokens of the whole accumulated batch.</param>
    /// <param name="weightGradient">[V, C] or null when the head is not trained.</param>
    public static (Tensor Sum, Tensor HiddenGradient) ForwardBackward(
        Tensor hidden, Tensor weight, Tensor targets, double scale, Tensor? weightGradient)
    {
        using var scope = NewDisposeScope();
        var sum = zeros([], ScalarType.Float64, hidden.device);
        var gradient = empty_like(hidden);
        var step = ChunkTokens(weight.shape[0]);
        for (long at = 0; at < hidden.shape[0]; at += step)
        {
            using var chunkScope = NewDisposeScope();
            var count = Math.Min(step, hidden.shape[0] - at);
            var (rows, chunkTargets) = (hidden.narrow(0, at, count), targets.narrow(0, at, count));
            var learned = chunkTargets.ge(0);
            var index = chunkTargets.clamp_min(0).unsqueeze(-1); // [n, 1]
            var logits = rows.mm(weight.t()).to(ScalarType.Float32); // [n, V]
            var logSumExp = logits.logsumexp(-1, keepdim: true);
            var loss = (logSumExp - logits.gather(-1, index)).squeeze(-1);
            sum.add_((loss * learned).sum(ScalarType.Float64));

            var factor = (learned * scale).to(ScalarType.Float32).unsqueeze(-1); // [n, 1]
            var slope = logits.sub_(logSumExp).exp_().mul_(factor).scatter_add_(-1, index, -factor).to(hidden.dtype);
            gradient.narrow(0, at, count).copy_(slope.mm(weight));
            weightGradient?.addmm_(slope.t(), rows);
        }

        return (sum.MoveToOuterDisposeScope(), gradient.MoveToOuterDisposeScope());
    }
}
