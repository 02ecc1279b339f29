namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// A way of measuring perplexity at a length: which windows of a text the model reads, which tokens of each are scored,
/// and how the scores are averaged. Published numbers come from several such ways, which disagree; a number without its
/// protocol's name says little.
/// </summary>
public abstract class PerplexityProtocol
{
    /// <summary>The name that goes with every number, such as <c>pi-s256</c>.</summary>
    public abstract string Name { get; }

    /// <summary>One line for reports: windows, scored tokens, average.</summary>
    public abstract string Definition { get; }

    /// <summary>How the scores of windows become one number.</summary>
    public abstract Averaging Averaging { get; }

    /// <summary>What stands before the tokens of each text.</summary>
    public virtual TextStart TextStart => TextStart.AsTokenized;

    /// <summary>
    /// The windows of a text, in reading order; none when the text is too short for the length, which leaves it out of
    /// that length.
    /// </summary>
    /// <param name="tokens">Tokens of the text, with what <see cref="TextStart"/> puts before it.</param>
    /// <param name="length">Context length in tokens, at least 2.</param>
    public IEnumerable<ScoredWindow> Windows(int tokens, int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        return tokens < length ? [] : Plan(tokens, length);
    }

    /// <summary>The windows of a text of at least <paramref name="length"/> tokens.</summary>
    protected abstract IEnumerable<ScoredWindow> Plan(int tokens, int length);

    /// <summary>
    /// Windows that advance by <paramref name="stride"/>, each scoring what the one before did not reach; the first
    /// scores everything, the last ends with the text and may be shorter. A stride above the length would skip tokens
    /// and counts as the length; a token at the very start of a window has no context in it and is not scored.
    /// </summary>
    protected static IEnumerable<ScoredWindow> Sliding(int tokens, int length, int stride)
    {
        var step = Math.Min(stride, length);
        var scored = 0;
        for (var start = 0; scored < tokens; start += step)
        {
            var end = Math.Min(start + length, tokens);
            var first = Math.Max(scored, start + 1);
            if (first < end)
            {
                yield return new ScoredWindow(start, end, first, end);
            }

            scored = end;
        }
    }
}
