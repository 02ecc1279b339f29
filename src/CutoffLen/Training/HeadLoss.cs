using CutoffLen.Data;
using CutoffLen.Models.Llama;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// Cross-entropy of the output head over chunks of tokens. Logits exist for one chunk at a time, never [T, V]. Each chunk's
/// gradients are formed while its logits exist. Log-softmax is in float32.
/// </summary>
internal static class HeadLoss
{
    /// <summary>Tokens of a chunk for a vocabulary of this size.</summary>
    public static long ChunkTokens(long vocabulary) => Math.Clamp(TokenLikelihood.LogitsPerChunk / vocabulary, 16, 4096);

    /// <summary>
    /// Bytes of a chunk. Logits and their gradient are in the model's dtype, of <paramref name="width"/> bytes a number. Logits
    /// and two steps of their log-sum-exp are in float32. Rows of the hidden states' gradient come on top.
    /// </summary>
    public static long ChunkBytes(long tokens, long vocabulary, long hidden, int width)
    {
        var rows = Math.Min(tokens, ChunkTokens(vocabulary));
        var inModelDtype = width == sizeof(float) ? 0 : 2 * width;
        return rows * ((vocabulary * ((3 * sizeof(float)) + inModelDtype)) + (hidden * width));
    }

    /// <summary>
    /// The summed loss in nats (a float64 scalar), and the gradient of <paramref name="scale"/> times that sum. The hidden
    /// states' gradient is returned, the head's is added to <paramref name="weightGradient"/>.
    /// </summary>
    /// <param name="hidden">[N, C] hidden states after the final norm.</param>
    /// <param name="weight">[V, C] the head.</param>
    /// <param name="targets">[N] int64, <see cref="TrainingSequence.Ignore"/> where no token is predicted.</param>
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
            var learned = chunkTargets.ge(Kept(0));
            var index = chunkTargets.clamp_min(Kept(0)).unsqueeze(-1); // [n, 1]
            var logits = rows.mm(weight.t()).to(ScalarType.Float32); // [n, V]
            var logSumExp = logits.logsumexp(-1, keepdim: true);
            var loss = (logSumExp - logits.gather(-1, index)).squeeze(-1);
            sum.add_((loss * learned).sum(ScalarType.Float64));

            var factor = (learned * Kept(scale)).to(ScalarType.Float32).unsqueeze(-1); // [n, 1]
            var logitGradients = logits.sub_(logSumExp).exp_().mul_(factor).scatter_add_(-1, index, -factor).to(hidden.dtype);
            gradient.narrow(0, at, count).copy_(logitGradients.mm(weight));
            weightGradient?.addmm_(logitGradients.t(), rows);
        }

        return (sum.MoveToOuterDisposeScope(), gradient.MoveToOuterDisposeScope());
    }
}
