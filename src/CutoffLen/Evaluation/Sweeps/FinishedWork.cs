using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Sweeps;

/// <summary>What a log holds of a sweep.</summary>
/// <param name="plan">Protocols, lengths and how forwards are shared.</param>
/// <param name="log">The log.</param>
/// <param name="run">What the results depend on besides the text and the window.</param>
internal sealed class FinishedWork(SweepPlan plan, ResultLog log, string run)
{
    private string CurveProtocol => plan.Protocols[0].Name;

    /// <summary>Whether all that is wanted of a forward is there.</summary>
    public bool Has(PlannedForward forward, EvaluationText text, int? curveLength) =>
        forward.Demands.All(d => log.Window(run, text.Identity, plan.Protocols[d.Protocol].Name, d.Length, d.FirstTarget) is not null)
        && (!forward.Curve || log.Curve(run, text.Identity, CurveProtocol, curveLength!.Value, forward.Start) is not null);

    /// <summary>The scores of the whole sweep, or null while any is missing.</summary>
    public SweepScores? All(IReadOnlyList<EvaluationText> texts)
    {
        var curveLength = plan.CurveLength(texts);
        var forwards = texts.SelectMany((text, i) => plan.Forwards(i, text, curveLength)).ToList();
        return forwards.Count > 0 && forwards.All(forward => Has(forward, texts[forward.Text], curveLength)) ? Collect(texts, forwards, curveLength) : null;
    }

    /// <summary>The scores of forwards that are all there.</summary>
    public SweepScores Collect(IReadOnlyList<EvaluationText> texts, IReadOnlyList<PlannedForward> forwards, int? curveLength)
    {
        var windows = new List<TextWindowScore>();
        var curves = new List<TextCurveScore>();
        foreach (var forward in forwards)
        {
            var text = texts[forward.Text].Identity;
            windows.AddRange(forward.Demands.Select(d => new TextWindowScore(
                forward.Text, d, log.Window(run, text, plan.Protocols[d.Protocol].Name, d.Length, d.FirstTarget)!.Sum)));
            if (forward.Curve)
            {
                curves.Add(new TextCurveScore(forward.Text, forward.Start, log.Curve(run, text, CurveProtocol, curveLength!.Value, forward.Start)!.Sums));
            }
        }

        return new SweepScores(plan, texts, windows, curves, curveLength, forwards.Sum(f => (long)f.Length));
    }
}
