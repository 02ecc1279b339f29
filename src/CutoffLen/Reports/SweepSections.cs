using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Reports.Html;

namespace CutoffLen.Reports;

/// <summary>The sections of the page on a sweep over methods and cutoffs.</summary>
internal static class SweepSections
{
    /// <summary>The sections, from top to bottom.</summary>
    public static IEnumerable<XElement?> Of(Report report, PerplexitySection perplexity, SweepSection sweep) =>
    [
        report.Published?.Section(),
        PerplexitySections.EffectiveContext(report, "Hollow before fine-tuning, filled after"),
        sweep.Slopes.Count > 0 ? AgainstCutoff(sweep) : null,
        sweep.Cells.Any(cell => cell.Curve is not null) ? Curves(report, sweep) : null,
        Page.Section("Perplexity", $"{perplexity.Protocols[0].Name}: {perplexity.Protocols[0].Definition}.", ReportTables.Perplexity(report, perplexity.Protocols[0].Name)),
        SweepTables.Priced(sweep).Count > 1 ? Price(report, sweep) : null,
        sweep.After.Any() ? Comparisons(report, sweep) : null,
        sweep.Scores.Count > 0 ? Theory(report, sweep) : PerplexitySections.Theory(report),
        sweep.After.Any() ? Page.Section("What it took", null, SweepTables.Cost(report, sweep)) : null,
    ];

    private static XElement AgainstCutoff(SweepSection sweep) => Page.Section(
        "Effective context against cutoff",
        "Is the limit set by the length the model was last trained at? Then it grows in proportion: the points lie along the dotted diagonal, where context and cutoff are equal, and the exponent is 1.",
        Page.Figure(
            SweepFigures.AgainstCutoff(sweep),
            "The first point is the checkpoint as it is, trained at its native length."
            + (sweep.Slope is { } fit ? $" Grey line: the fit over all methods, context = {Numbers.Short(Math.Round(fit.AtOne, 2))} · cutoff^{Numbers.Exponent(fit.Exponent)}." : "")
            + " Points at one cutoff stand side by side; an arrow means that no limit was found."),
        SweepTables.Slopes(sweep));

    private static XElement Curves(Report report, SweepSection sweep)
    {
        var curve = sweep.Cells.First(cell => cell.Curve is not null).Curve!;
        var tuned = sweep.After.Select(cell => cell.Rope).Distinct();
        return Page.Section(
            "Loss by position",
            $"Mean negative log-likelihood of the tokens at each position of {Numbers.Count(curve.Windows)} {(curve.Windows == 1 ? "window" : "windows")} of {Numbers.Count(curve.Length)} tokens. Where a curve keeps falling the model uses the far context; where it rises the context is broken. Dotted: the cutoffs.",
            Page.Plain("h3", "Before fine-tuning"),
            Page.Figure(SweepFigures.ByPosition(report, sweep, "Negative log-likelihood against position before fine-tuning", Untuned(sweep))),
            sweep.Cutoffs.Select(cutoff => new[]
            {
                Page.Plain("h3", $"Fine-tuned at {Numbers.Tokens(cutoff)}"),
                Page.Figure(SweepFigures.ByPosition(
                    report, sweep, $"Negative log-likelihood against position after fine-tuning at {cutoff} tokens", sweep.After.Where(cell => cell.Cutoff == cutoff).Prepend(sweep.Itself))),
            }),
            Page.Element("div", "pair", tuned.Select(rope => Page.Plain(
                "div", Page.Plain("h3", $"{rope}, before and after"), Page.Plain("figure", SweepFigures.OfMethod(report, sweep, rope)(400, "both"))))));
    }

    // The checkpoint, and each method once under the positions of the longest cutoff.
    private static IEnumerable<SweepCell> Untuned(SweepSection sweep) =>
        sweep.Before.Skip(1).GroupBy(cell => cell.Rope).Select(same => same.Last()).Prepend(sweep.Itself);

    private static XElement Theory(Report report, SweepSection sweep) => Page.Section(
        "Theory beside measurement",
        "Does the base of RoPE bound the context? A rank correlation of 1 means that theory puts the bases in the measured order. The error factor is how far a prediction is off on average: 1 is exact, 2 is twice or half.",
        Page.Figure(
            SweepFigures.AgainstBase(sweep),
            "Points are measured, hollow before fine-tuning. Lines of their colour: the scaling law's bound for that training length. Dotted: the bound of the base alone. Below a small base the scaling law's bound is a lower one."),
        SweepTables.TheoryScores(sweep),
        ReportTables.Theory(report));

    private static XElement Price(Report report, SweepSection sweep) => Page.Section(
        "The price at native length",
        $"What a method costs where the checkpoint was good already: nats per token more than it has as it is, at {Numbers.Count(SweepTables.Priced(sweep)[0].Price!.Length)} tokens, against how far it reaches. Down and to the right is better; along the dotted line nothing reaches farther for less.",
        Page.Figure(SweepFigures.Pareto(sweep), "Hollow before fine-tuning, filled after with the cutoff beside it; an arrow means that no limit was found. Fine-tuning on text like that measured lowers the loss by itself: compare fine-tuned cells with each other."),
        SweepTables.Price(report, sweep));

    private static XElement Comparisons(Report report, SweepSection sweep) => Page.Section(
        "Paired differences",
        "Paired by text, with 95% intervals: below zero is better. In colour where the interval leaves out zero.",
        SweepTables.AfterAgainstBefore(report, sweep),
        SweepTables.AgainstFirst(report, sweep));
}
