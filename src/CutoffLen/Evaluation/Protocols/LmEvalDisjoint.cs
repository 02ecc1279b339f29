namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// <c>lmeval-disjoint</c>: every token of a text is scored once, in windows that read L tokens and score the L that
/// follow each of them: one token of context at a window's start, and a prefix token (BOS, else EOS) before the text.
/// The last window is filled up with context to L tokens and scores what is left. Averaged per token, and also per word
/// (the pieces between white space) and per UTF-8 byte of the text.
/// </summary>
/// <remarks>
/// EleutherAI lm-evaluation-harness: <c>get_rolling_token_windows</c> with context_len 1, <c>make_disjoint_window</c>,
/// and the metrics word_perplexity, byte_perplexity and bits_per_byte. The harness also scores texts shorter than L,
/// which are left out here as in every protocol.
/// </remarks>
public sealed class LmEvalDisjoint : PerplexityProtocol
{
    /// <inheritdoc/>
    public override string Name => "lmeval-disjoint";

    /// <inheritdoc/>
    public override string Definition => "disjoint windows with one token of context, a prefix token before the text; all tokens scored once; mean per token";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Tokens;

    /// <inheritdoc/>
    public override TextStart TextStart => TextStart.BosOrEos;

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length)
    {
        // tokens counts the prefix token; a window that reads L tokens also scores the token after them.
        var predicted = Math.Min(length, tokens - 1);
        yield return new ScoredWindow(0, predicted, 1, predicted + 1);
        while (predicted < tokens - 1)
        {
            var end = Math.Min(predicted + length, tokens - 1);
            yield return new ScoredWindow(end - length, end, predicted + 1, end + 1);
            predicted = end;
        }
    }
}
