using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation;

/// <summary>All scores of one model and position method, before they are averaged.</summary>
/// <param name="Plan">Protocols and lengths.</param>
/// <param name="Documents">The documents.</param>
/// <param name="Windows">The score of every window, with the index of its document.</param>
/// <param name="Curves">NLL by position, window by window, with the index of its document.</param>
/// <param name="TokensRead">Tokens that the model read.</param>
public sealed record PerplexityScores(
    PerplexityPlan Plan,
    IReadOnlyList<EvaluationDocument> Documents,
    IReadOnlyList<(int Document, WindowScore Score)> Windows,
    IReadOnlyList<(int Document, CurveScore Score)> Curves,
    long TokensRead);

/// <summary>The scores that a log already has of one run.</summary>
/// <param name="plan">Protocols and lengths.</param>
/// <param name="documents">The documents.</param>
/// <param name="log">The log.</param>
/// <param name="run">What the scores depend on besides document and window.</param>
internal sealed class CompletedScores(PerplexityPlan plan, IReadOnlyList<EvaluationDocument> documents, ResultLog log, RunKey run)
{
    /// <summary>Whether all scores of these forwards are there.</summary>
    public bool Has(IEnumerable<PlannedForward> forwards) =>
        forwards.All(forward => forward.Spans.All(span => Window(forward, span) is not null) && (forward.CurveLength == 0 || Curve(forward) is not null));

    /// <summary>The scores of forwards that are all there.</summary>
    public PerplexityScores Collect(IReadOnlyList<PlannedForward> forwards) => new(
        plan, documents,
        [.. forwards.SelectMany(forward => forward.Spans.Select(span => (forward.Document, Window(forward, span)!.Value)))],
        [.. forwards.Where(forward => forward.CurveLength > 0).Select(forward => (forward.Document, Curve(forward)!))],
        forwards.Sum(forward => (long)forward.Length));

    private WindowScore? Window(PlannedForward forward, TargetSpan span) =>
        log.Window(run, documents[forward.Document].Identity, span.Protocol, span.Length, span.FirstTarget);

    private CurveScore? Curve(PlannedForward forward) =>
        log.Curve(run, documents[forward.Document].Identity, plan.Protocols[0].Name, forward.CurveLength, forward.Start);
}
