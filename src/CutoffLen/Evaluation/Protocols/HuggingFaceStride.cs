namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// <c>hf-stride</c>: windows of length L that advance by S = 512, each scoring the tokens that the one before did not
/// reach; the mean of the windows' means, in which the few tokens of the last window weigh as much as all of the first.
/// </summary>
/// <remarks>
/// Hugging Face, "Perplexity of fixed-length models", as it stood until the end of 2024 (<c>exp(stack(nlls).mean())</c>)
/// and as axolotl's <c>eval_causal_lm_metrics: perplexity</c> still computes it; the page's later text weighs windows by
/// their tokens, which is <c>pi-s512</c> but for one token per window.
/// </remarks>
public sealed class HuggingFaceStride(int stride = HuggingFaceStride.StandardStride) : PerplexityProtocol
{
    /// <summary>The page's and axolotl's stride, in tokens.</summary>
    public const int StandardStride = 512;

    /// <inheritdoc/>
    public override string Name => stride == StandardStride ? "hf-stride" : $"hf-stride-s{stride}";

    /// <inheritdoc/>
    public override string Definition => $"windows of the length, stride {stride}; the last {stride} tokens of each window are scored and all of the first; mean of the windows' means";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Windows;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length) => Sliding(tokens, length, stride);
}
