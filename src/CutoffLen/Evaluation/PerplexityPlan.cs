using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Tokenization;

namespace CutoffLen.Evaluation;

/// <summary>The targets that one protocol at one length scores in a forward.</summary>
/// <param name="Protocol">Name of the protocol.</param>
/// <param name="Length">Context length in tokens.</param>
/// <param name="FirstTarget">Index of the first scored token in the document.</param>
/// <param name="TargetEnd">One past the last.</param>
public readonly record struct TargetSpan(string Protocol, int Length, int FirstTarget, int TargetEnd)
{
    /// <summary>Targets scored.</summary>
    public int Count => TargetEnd - FirstTarget;
}

/// <summary>Tokens that the model reads once for all protocols and lengths that score targets in them.</summary>
/// <param name="Document">Index of the document.</param>
/// <param name="Prefix">The token before the document's own, or null; indices count it.</param>
/// <param name="BosFirst">Whether BOS stands in place of the first token read.</param>
/// <param name="Start">Index of the first token read.</param>
/// <param name="InputEnd">One past the last token read.</param>
/// <param name="Spans">The scored targets, in the order of protocols and lengths.</param>
/// <param name="CurveLength">Positions scored for the curve of NLL by position; 0 where the forward gives none.</param>
public sealed record PlannedForward(
    int Document, int? Prefix, bool BosFirst, int Start, int InputEnd, IReadOnlyList<TargetSpan> Spans, int CurveLength)
{
    /// <summary>Tokens that the model reads.</summary>
    public int Length => InputEnd - Start;
}

/// <summary>What a perplexity evaluation measures, and the forwards that it needs.</summary>
/// <param name="Protocols">The protocols, by distinct names; the first one's windows also give the curve of NLL by position.</param>
/// <param name="Lengths">Context lengths in tokens, ascending.</param>
/// <param name="Special">Special tokens of the vocabulary.</param>
public sealed record PerplexityPlan(IReadOnlyList<PerplexityProtocol> Protocols, IReadOnlyList<int> Lengths, SpecialTokens Special)
{
    /// <summary>
    /// The length of the windows that give the curve of NLL by position: the longest with a whole window in any document.
    /// Null when there is none.
    /// </summary>
    private int? CurveLength(IReadOnlyList<EvaluationDocument> documents)
    {
        for (var i = Lengths.Count - 1; i >= 0; i--)
        {
            if (documents.Any(document => CurveWindows(document, Lengths[i]).Any()))
            {
                return Lengths[i];
            }
        }

        return null;
    }

    /// <summary>
    /// The forwards, document by document, in the order of their starts. Windows that begin at the same token share one
    /// forward: by causality a longer window holds the scores of a shorter one. Under a length-dependent method only
    /// windows of exactly the same tokens do.
    /// </summary>
    /// <param name="documents">The documents.</param>
    /// <param name="dependsOnLength">Whether the position method depends on the length.</param>
    public IReadOnlyList<PlannedForward> Forwards(IReadOnlyList<EvaluationDocument> documents, bool dependsOnLength)
    {
        var curveLength = CurveLength(documents) ?? 0;
        return [.. documents.SelectMany((document, i) => Forwards(i, document, curveLength, dependsOnLength))];
    }

    private IEnumerable<PlannedForward> Forwards(int index, EvaluationDocument document, int curveLength, bool dependsOnLength)
    {
        var groups = new Dictionary<Key, Group>();
        foreach (var protocol in Protocols)
        {
            var tokens = TokensOf(document, protocol);
            foreach (var length in Lengths)
            {
                foreach (var window in protocol.Windows(tokens, length))
                {
                    var first = Math.Max(window.FirstTarget, document.Prompt + tokens - document.Tokens.Length);
                    if (first < window.TargetEnd)
                    {
                        GroupOf(protocol, window).Add(window, new TargetSpan(protocol.Name, length, first, window.TargetEnd));
                    }
                }
            }
        }

        if (curveLength > 0)
        {
            foreach (var window in CurveWindows(document, curveLength))
            {
                GroupOf(Protocols[0], window).CurveLength = curveLength;
            }
        }

        return groups
            .OrderBy(g => g.Key.Start).ThenBy(g => g.Key.Prefix).ThenBy(g => g.Key.BosFirst).ThenBy(g => g.Value.InputEnd)
            .Select(g => new PlannedForward(index, g.Key.Prefix, g.Key.BosFirst, g.Key.Start, g.Value.InputEnd, g.Value.Spans, g.Value.CurveLength));

        Group GroupOf(PerplexityProtocol protocol, ScoredWindow window)
        {
            var prefix = document.Prefix(protocol.DocumentStart, Special);
            var first = prefix is null ? document.Tokens[window.Start] : window.Start == 0 ? prefix : document.Tokens[window.Start - 1];
            var bosFirst = window.BosFirst && Special.AddsBos && first != Special.Bos;
            var key = new Key(prefix, bosFirst, window.Start, dependsOnLength ? window.InputEnd : 0);
            if (!groups.TryGetValue(key, out var group))
            {
                groups.Add(key, group = new Group());
            }

            return group;
        }
    }

    /// <summary>
    /// Whole windows of the length that the first protocol reads anyway, so the curve costs no forward of its own. Where
    /// they overlap, a token counts at several positions: the curve compares positions over nearly the same tokens. A record
    /// with a prompt has none, since its first positions are not scored.
    /// </summary>
    private IEnumerable<ScoredWindow> CurveWindows(EvaluationDocument document, int length) => document.Prompt > 0
        ? []
        : Protocols[0].Windows(TokensOf(document, Protocols[0]), length).Where(window => window.Length == length);

    private int TokensOf(EvaluationDocument document, PerplexityProtocol protocol) =>
        document.Tokens.Length + (document.Prefix(protocol.DocumentStart, Special) is null ? 0 : 1);

    private readonly record struct Key(int? Prefix, bool BosFirst, int Start, int InputEnd);

    private sealed class Group
    {
        public List<TargetSpan> Spans { get; } = [];

        public int InputEnd { get; private set; }

        public int CurveLength { get; set; }

        public void Add(ScoredWindow window, TargetSpan span)
        {
            InputEnd = Math.Max(InputEnd, window.InputEnd);
            Spans.Add(span);
        }
    }
}
