using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Tokenization;

namespace CutoffLen.Evaluation.Sweeps;

/// <summary>What one protocol at one length wants of a forward: the mean over these targets.</summary>
/// <param name="Protocol">Index of the protocol in the sweep.</param>
/// <param name="Length">Context length in tokens.</param>
/// <param name="FirstTarget">Index of the first scored token in the text.</param>
/// <param name="TargetEnd">One past the last.</param>
public readonly record struct Demand(int Protocol, int Length, int FirstTarget, int TargetEnd);

/// <summary>Tokens that the model reads once for everything that protocols and lengths want of them.</summary>
/// <param name="Text">Index of the text in the sweep.</param>
/// <param name="Prefix">The token put before the text's own, or null; indices count it.</param>
/// <param name="BosFirst">Whether BOS stands in place of the first token read.</param>
/// <param name="Start">Index of the first token read.</param>
/// <param name="InputEnd">One past the last token read.</param>
/// <param name="Demands">What is wanted, in the order of protocols and lengths.</param>
/// <param name="Curve">Whether all of the window's positions are wanted too, for the curve of NLL by position.</param>
public sealed record PlannedForward(
    int Text, int? Prefix, bool BosFirst, int Start, int InputEnd, IReadOnlyList<Demand> Demands, bool Curve)
{
    /// <summary>Tokens that the model reads.</summary>
    public int Length => InputEnd - Start;
}

/// <summary>
/// The forwards of a sweep. Windows of several protocols and lengths that begin at the same token are one forward: by
/// causality a prefix's scores are the same inside a longer window, unless the position method looks at the length; then
/// only windows of exactly the same tokens are one.
/// </summary>
/// <param name="Protocols">The protocols of the sweep; the first one's windows also give the curve of NLL by position.</param>
/// <param name="Lengths">Context lengths in tokens, ascending.</param>
/// <param name="Special">Special tokens of the vocabulary.</param>
/// <param name="DependsOnLength">Whether the position method looks at the length.</param>
public sealed record SweepPlan(
    IReadOnlyList<PerplexityProtocol> Protocols, IReadOnlyList<int> Lengths, SpecialTokens Special, bool DependsOnLength)
{
    /// <summary>
    /// The length of the windows that give the curve of NLL by position: the longest of which any text has a whole
    /// window; null when there is none.
    /// </summary>
    public int? CurveLength(IReadOnlyList<EvaluationText> texts)
    {
        for (var i = Lengths.Count - 1; i >= 0; i--)
        {
            if (texts.Any(text => CurveWindows(TokensOf(text, Protocols[0]), Lengths[i]).Any()))
            {
                return Lengths[i];
            }
        }

        return null;
    }

    /// <summary>The forwards of one text in the order of their starts.</summary>
    /// <param name="index">The text's index in the sweep.</param>
    /// <param name="text">The text.</param>
    /// <param name="curveLength">What <see cref="CurveLength"/> says.</param>
    public IReadOnlyList<PlannedForward> Forwards(int index, EvaluationText text, int? curveLength)
    {
        var groups = new Dictionary<Key, Group>();
        for (var p = 0; p < Protocols.Count; p++)
        {
            var tokens = TokensOf(text, Protocols[p]);
            foreach (var length in Lengths)
            {
                foreach (var window in Protocols[p].Windows(tokens, length))
                {
                    GroupOf(groups, text, Protocols[p], window).Add(window, new Demand(p, length, window.FirstTarget, window.TargetEnd));
                }
            }
        }

        if (curveLength is { } longest)
        {
            foreach (var window in CurveWindows(TokensOf(text, Protocols[0]), longest))
            {
                GroupOf(groups, text, Protocols[0], window).Curve = true;
            }
        }

        return [.. groups
            .OrderBy(g => g.Key.Start).ThenBy(g => g.Key.Prefix).ThenBy(g => g.Key.BosFirst).ThenBy(g => g.Value.InputEnd)
            .Select(g => new PlannedForward(index, g.Key.Prefix, g.Key.BosFirst, g.Key.Start, g.Value.InputEnd, g.Value.Demands, g.Value.Curve))];
    }

    /// <summary>
    /// Whole windows of the length that the first protocol reads anyway: the curve costs no forward of its own. Where they
    /// overlap, a token counts at several positions, so that the curve compares positions over much the same tokens.
    /// </summary>
    private IEnumerable<ScoredWindow> CurveWindows(int tokens, int length) =>
        Protocols[0].Windows(tokens, length).Where(window => window.Length == length);

    private int TokensOf(EvaluationText text, PerplexityProtocol protocol) =>
        text.Tokens.Length + (text.Prefix(protocol.TextStart, Special) is null ? 0 : 1);

    private Group GroupOf(Dictionary<Key, Group> groups, EvaluationText text, PerplexityProtocol protocol, ScoredWindow window)
    {
        var prefix = text.Prefix(protocol.TextStart, Special);
        var first = prefix is null ? text.Tokens[window.Start] : window.Start == 0 ? prefix : text.Tokens[window.Start - 1];
        var bosFirst = window.BosFirst && Special.AddsBos && first != Special.Bos;
        var key = new Key(prefix, bosFirst, window.Start, DependsOnLength ? window.InputEnd : 0);
        if (!groups.TryGetValue(key, out var group))
        {
            groups.Add(key, group = new Group());
        }

        return group;
    }

    private readonly record struct Key(int? Prefix, bool BosFirst, int Start, int InputEnd);

    private sealed class Group
    {
        public List<Demand> Demands { get; } = [];

        public int InputEnd { get; private set; }

        public bool Curve { get; set; }

        public void Add(ScoredWindow window, Demand demand)
        {
            InputEnd = Math.Max(InputEnd, window.InputEnd);
            Demands.Add(demand);
        }
    }
}
