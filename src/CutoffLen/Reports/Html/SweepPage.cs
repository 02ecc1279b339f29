using System.Xml.Linq;
using CutoffLen.Common;

namespace CutoffLen.Reports.Html;

/// <summary>
/// <c>report.html</c> of a sweep over methods and cutoffs: one page without network, for a screen or a phone, light or
/// dark, and for paper.
/// </summary>
public static class SweepPage
{
    /// <summary>The file's text.</summary>
    public static string Of(SweepReport report)
    {
        var title = report.Cutoffs.Count > 0 ? $"Context limit of {report.Model}, before and after fine-tuning" : $"Context limit of {report.Model}";
        return Page.Document(
            title,
            Page.Plain(
                "header",
                Page.Element("p", "kicker", FormattableString.Invariant($"{report.Made:d MMMM yyyy} · {report.Dtype} · {report.Protocol.Name}")),
                Page.Plain("h1", title),
                Page.Element("ul", "findings", SweepFindings.Of(report).Select(finding => Page.Plain("li", finding)))),
            report.Cells.Any(cell => cell.Limit is not null) ? EffectiveContext(report) : null,
            report.Slopes.Count > 0 ? AgainstCutoff(report) : null,
            report.Cells.Any(cell => cell.Measured.Curve is not null) ? Curves(report) : null,
            Page.Section("Perplexity", $"{report.Protocol.Name}: {report.Protocol.Definition}.", SweepTables.Perplexity(report)),
            SweepTables.Priced(report).Count > 1 ? Price(report) : null,
            report.After.Any() ? Comparisons(report) : null,
            report.Cells.Any(cell => cell.Measured.Bounds.Count > 0) ? Page.Section("Theory beside measurement", null, SweepTables.Theory(report)) : null,
            report.After.Any() ? Page.Section("What it took", null, SweepTables.Cost(report)) : null,
            How(report),
            Page.Plain("footer", $"Made by {report.Program}. Every number of this page, with all its digits, is in sweep.json beside it."));
    }

    private static XElement EffectiveContext(SweepReport report) => Page.Section(
        "Effective context",
        $"Where the loss by position rises more than {Numbers.Short(report.Cells.First(cell => cell.Limit is not null).Limit!.Delta)} nats above its running minimum and stays there. Hollow before fine-tuning, filled after; whiskers are 95% intervals, an arrow means that no limit was found.",
        Page.Figure(SweepFigures.EffectiveContexts(report)));

    private static XElement AgainstCutoff(SweepReport report) => Page.Section(
        "Effective context against cutoff",
        "Is the limit set by the length the model was last trained at? Then it grows in proportion: the points lie along the dotted diagonal, where context and cutoff are equal, and the exponent is 1.",
        Page.Figure(
            SweepFigures.AgainstCutoff(report),
            "The first point is the checkpoint as it is, trained at its native length."
            + (report.Slope is { } fit ? $" Grey line: the fit over all methods, context = {Numbers.Short(Math.Round(fit.AtOne, 2))} · cutoff^{Numbers.Exponent(fit.Exponent)}." : "")
            + " Points at one cutoff stand side by side; an arrow means that no limit was found."),
        SweepTables.Slopes(report));

    private static XElement Curves(SweepReport report)
    {
        var curve = report.Cells.First(cell => cell.Measured.Curve is not null).Measured.Curve!;
        var tuned = report.After.Select(cell => cell.Rope).Distinct();
        return Page.Section(
            "Loss by position",
            $"Mean negative log-likelihood of the tokens at each position of {Numbers.Count(curve.Windows)} {(curve.Windows == 1 ? "window" : "windows")} of {Numbers.Count(curve.Length)} tokens. Where a curve keeps falling the model uses the far context; where it rises the context is broken. Dotted: the cutoffs.",
            Page.Plain("h3", "Before fine-tuning"),
            Page.Figure(SweepFigures.ByPosition(report, "Negative log-likelihood against position before fine-tuning", Untuned(report))),
            report.Cutoffs.Select(cutoff => new[]
            {
                Page.Plain("h3", $"Fine-tuned at {Numbers.Tokens(cutoff)}"),
                Page.Figure(SweepFigures.ByPosition(
                    report, $"Negative log-likelihood against position after fine-tuning at {cutoff} tokens", report.After.Where(cell => cell.Cutoff == cutoff).Prepend(report.Itself))),
            }),
            Page.Element("div", "pair", tuned.Select(rope => Page.Plain(
                "div", Page.Plain("h3", $"{rope}, before and after"), Page.Plain("figure", SweepFigures.OfMethod(report, rope)(400, "both"))))));
    }

    /// <summary>The checkpoint and each method once, as it stands for the longest cutoff.</summary>
    private static IEnumerable<SweepCell> Untuned(SweepReport report) =>
        report.Before.Skip(1).GroupBy(cell => cell.Rope).Select(same => same.Last()).Prepend(report.Itself);

    private static XElement Price(SweepReport report) => Page.Section(
        "The price at native length",
        $"What a method costs where the checkpoint was good already: nats per token more than it has as it is, at {Numbers.Count(SweepTables.Priced(report)[0].Price!.Length)} tokens, against how far it reaches. Down and to the right is better; along the dotted line nothing reaches farther for less.",
        Page.Figure(SweepFigures.Pareto(report), "Hollow before fine-tuning, filled after with the cutoff beside it; an arrow means that no limit was found. Fine-tuning on text like that measured lowers the loss by itself: compare fine-tuned cells with each other."),
        SweepTables.Price(report));

    private static XElement Comparisons(SweepReport report) => Page.Section(
        "Paired differences",
        "Paired by text, with 95% intervals: below zero is better. In colour where the interval leaves out zero.",
        SweepTables.AfterAgainstBefore(report),
        SweepTables.AgainstFirst(report));

    private static XElement How(SweepReport report) => Page.Section(
        "How it was measured",
        null,
        report.Notes.Count == 0 ? null : Page.Element("ul", "notes", report.Notes.Select(note => Page.Plain("li", note))),
        PerplexityTables.Settings(
        [
            new Setting(report.Protocol.Name, $"{report.Protocol.Definition}. {report.Protocol.TextStart}"),
            new Setting("texts", PerplexityTables.Texts(report.Corpus)),
            new Setting("number format", $"{report.Dtype}; log-softmax in float32"),
            .. report.Settings,
        ]),
        SweepTables.Proofs(report));
}
