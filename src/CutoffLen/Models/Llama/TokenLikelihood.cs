using static TorchSharp.torch;

namespace CutoffLen.Models.Llama;

/// <summary>
/// How likely each token was: the head and a float32 log-softmax, run over chunks of tokens so that logits are
/// never [T, V].
/// </summary>
public static class TokenLikelihood
{
    private const long LogitsPerChunk = 16 << 20; // float32 elements: 64 MiB

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
        var step = Math.Max(1, LogitsPerChunk / model.Config.VocabSize);
        for (long at = 0; at < count; at += step)
        {
            using var chunk = NewDisposeScope();
            var rows = Math.Min(step, count - at);
            var logits = model.Logits(hidden.narrow(0, at, rows)).to(ScalarType.Float32); // [n, V]
            var chosen = logits.gather(-1, targets.narrow(0, at, rows).unsqueeze(-1)).squeeze(-1);
            nll.narrow(0, at, rows).copy_(logits.logsumexp(-1) - chosen);
        }

        return nll.MoveToOuterDisposeScope();
    }
}
