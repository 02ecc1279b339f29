namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// <c>yarn-trunc</c>: BOS and the first L - 1 tokens of each text in one window, all scored; the mean of the texts'
/// means.
/// </summary>
/// <remarks>
/// jquesnelle/yarn eval/perplexity.py with <c>--truncate</c>, used by LongRoPE (arXiv 2402.13753) and EasyContext
/// (eval_ppl.py): texts are tokenized without special tokens, cut to L - 1, a BOS is put before them where the
/// tokenizer has one, and the exponential is taken of the mean of the texts' mean losses.
/// </remarks>
public sealed class YarnTruncated : PerplexityProtocol
{
    /// <inheritdoc/>
    public override string Name => "yarn-trunc";

    /// <inheritdoc/>
    public override string Definition => "BOS and the first tokens of each text up to the length, all scored; mean of the texts' means";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Texts;

    /// <inheritdoc/>
    public override TextStart TextStart => TextStart.Bos;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length) => [new ScoredWindow(0, length, 1, length)];
}
