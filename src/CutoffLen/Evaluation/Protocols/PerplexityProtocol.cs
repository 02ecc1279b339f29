using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Protocols;

/// <summary>
/// A perplexity protocol: the windows of a document, the scored tokens of each, and the average. Published numbers come
/// from several protocols that disagree, so every number carries its protocol's name.
/// </summary>
public abstract class PerplexityProtocol
{
    /// <summary>The name that goes with every number, such as <c>pi-s256</c>.</summary>
    public abstract string Name { get; }

    /// <summary>One line for reports: windows, scored tokens, average.</summary>
    public abstract string Definition { get; }

    /// <summary>How the scores of windows become one number.</summary>
    public abstract Averaging Averaging { get; }

    /// <summary>What stands before the tokens of each document.</summary>
    public virtual DocumentStart DocumentStart => DocumentStart.AsTokenized;

    /// <summary>
    /// The windows of a document, in reading order. A document shorter than the length has none and is left out there.
    /// </summary>
    /// <param name="tokens">Tokens of the document, with the prefix of <see cref="DocumentStart"/>.</param>
    /// <param name="length">Context length in tokens, at least 2.</param>
    public IEnumerable<ScoredWindow> Windows(int tokens, int length)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(length, 2);
        return tokens < length ? [] : Plan(tokens, length);
    }

    /// <summary>The windows of a document of at least <paramref name="length"/> tokens.</summary>
    protected abstract IEnumerable<ScoredWindow> Plan(int tokens, int length);

    /// <summary>
    /// Windows that advance by <paramref name="stride"/>. Each scores the tokens that the one before did not reach. The
    /// first scores everything; the last ends with the document and may be shorter. A stride above the length would skip
    /// tokens, so the length bounds it. The first token of a window has no context in it and is not scored.
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

/// <summary>
/// One forward that a protocol asks for, in token indices of a document. The model reads the tokens
/// <c>Start .. InputEnd - 1</c>. The tokens <c>FirstTarget .. TargetEnd - 1</c> are scored, each by the prediction after
/// the token before it.
/// </summary>
/// <param name="Start">Index of the first token that the model reads.</param>
/// <param name="InputEnd">One past the last token that the model reads.</param>
/// <param name="FirstTarget">Index of the first scored token, above Start.</param>
/// <param name="TargetEnd">One past the last scored token, at most InputEnd + 1.</param>
/// <param name="BosFirst">Whether the model reads a BOS token in place of the token at Start.</param>
public readonly record struct ScoredWindow(int Start, int InputEnd, int FirstTarget, int TargetEnd, bool BosFirst = false)
{
    /// <summary>Tokens that the model reads.</summary>
    public int Length => InputEnd - Start;

    /// <summary>Tokens scored.</summary>
    public int Targets => TargetEnd - FirstTarget;
}

/// <summary>What is averaged before the exponential is taken.</summary>
public enum Averaging
{
    /// <summary>The mean over scored tokens.</summary>
    Tokens,

    /// <summary>The mean of the windows' means: every window counts the same, however many tokens it scores.</summary>
    Windows,

    /// <summary>The mean of the documents' means: every document counts the same.</summary>
    Documents,
}
