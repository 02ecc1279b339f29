using CutoffLen.Data;
using CutoffLen.Hardware;
using CutoffLen.Models.Llama;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Training;

/// <summary>
/// Cross-entropy of the output head over chunks of tokens. Logits exist for one chunk at a time, never [T, V]. Each chunk's
/// gradients are formed where its logits lie. Log-softmax is in float32.
/// </summary>
internal static class HeadLoss
{
    /// <summary>The summed loss in nats (a float64 scalar), and the gradients of <paramref name="scale"/> times that sum.</summary>
    /// <param name="model">The model, for its head.</param>
    /// <param name="hidden">[N, C] hidden states after the final norm.</param>
    /// <param name="targets">[N] int64, <see cref="TrainingSequence.Ignore"/> where no token is predicted.</param>
    /// <param name="scale">One over the number of target tokens of the whole accumulated batch.</param>
    /// <param name="weightGradient">[V, C] added to; null when the head is not trained.</param>
    /// <param name="hiddenGradient">[N, C] receives the gradient of the hidden states; may be the hidden states' own memory.</param>
    public static Tensor ForwardBackward(
        LlamaForCausalLM model, Tensor hidden, Tensor targets, double scale, Tensor? weightGradient, Tensor hiddenGradient)
    {
        using var scope = NewDisposeScope();
        var sum = zeros([], ScalarType.Float64, hidden.device);
        var step = TokenLikelihood.ChunkTokens(model);
        for (long at = 0; at < hidden.shape[0]; at += step)
        {
            using var chunk = NewDisposeScope();
            var count = Math.Min(step, hidden.shape[0] - at);
            var (rows, chunkTargets) = (hidden.narrow(0, at, count), targets.narrow(0, at, count));
            var learned = chunkTargets.ge(Kept(0));
            var index = chunkTargets.clamp_min(Kept(0)).unsqueeze(-1); // [n, 1]
            var (logProbabilities, logitGradients) = TokenLikelihood.LogProbabilities(model, rows, at); // [n, V]
            sum.sub_((logProbabilities.gather(-1, index).squeeze(-1) * learned).sum(ScalarType.Float64));

            var factor = (learned * Kept(scale)).to(ScalarType.Float32).unsqueeze(-1); // [n, 1]
            logProbabilities.exp_().mul_(factor).scatter_add_(-1, index, -factor);
            if (logitGradients.dtype != ScalarType.Float32)
            {
                logitGradients.copy_(logProbabilities);
            }

            weightGradient?.addmm_(logitGradients.t(), rows);
            var gradient = hiddenGradient.narrow(0, at, count);
            var input = model.HeadAdapter is null ? rows : rows.clone(); // the gradient may take the rows' place
            Kernels.Matmul(logitGradients, model.HeadWeight, gradient);
            model.HeadAdapter?.AddBackward(input, logitGradients, gradient, at);
        }

        return sum.MoveToOuterDisposeScope();
    }
}
