namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// <c>pi-sS</c>: windows of length L that advance by S = 256 tokens; the first is scored whole, each later one only in
/// the tokens that the one before did not reach, so every token after the first is scored once and has at least L - S
/// tokens of context. Averaged per token.
/// </summary>
/// <remarks>
/// Press et al., arXiv 2108.12409 appendix B; Position Interpolation, arXiv 2306.15595 section 3.2; YaRN, arXiv
/// 2309.00071 section 4.3.1. YaRN's script (eval/perplexity.py) differs in two points: it averages window means, and it
/// puts a BOS token before every window instead of only where the tokenizer puts it.
/// </remarks>
public sealed class PiSliding(int stride = PiSliding.StandardStride) : PerplexityProtocol
{
    /// <summary>The stride of the papers, in tokens.</summary>
    public const int StandardStride = 256;

    /// <inheritdoc/>
    public override string Name => $"pi-s{stride}";

    /// <inheritdoc/>
    public override string Definition =>
        $"windows of the length, stride {stride}; the last {stride} tokens of each window are scored and all of the first; mean per token";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Tokens;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length) => Sliding(tokens, length, stride);
}
