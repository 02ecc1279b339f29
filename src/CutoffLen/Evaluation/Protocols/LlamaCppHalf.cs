namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// <c>llamacpp-half</c>: disjoint windows of length L; the logits of the positions L/2 .. L - 2 are scored, that is the
/// last L - L/2 - 1 tokens of each window; averaged per token. The model reads a BOS in place of each window's first
/// token where the tokenizer adds BOS; tokens after the last whole window are not used.
/// </summary>
/// <remarks>
/// llama.cpp tools/perplexity/perplexity.cpp, <c>perplexity()</c>. The program refuses texts of less than 2 L tokens;
/// here one window is enough.
/// </remarks>
public sealed class LlamaCppHalf : PerplexityProtocol
{
    /// <inheritdoc/>
    public override string Name => "llamacpp-half";

    /// <inheritdoc/>
    public override string Definition => "disjoint windows of the length, each beginning with BOS; the second half of each is scored; mean per token";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Tokens;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length)
    {
        for (var start = 0; start <= tokens - length; start += length)
        {
            var first = start + (length / 2) + 1;
            if (first < start + length)
            {
                yield return new ScoredWindow(start, start + length, first, start + length, BosFirst: true);
            }
        }
    }
}
