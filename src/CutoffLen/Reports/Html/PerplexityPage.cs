using System.Xml.Linq;
using CutoffLen.Common;

namespace CutoffLen.Reports.Html;

/// <summary>
/// <c>report.html</c>: a sweep as one page without network: what was found, curves, intervals, comparisons, theory
/// beside measurement, and how it was all measured. For a screen or a phone, light or dark, and for paper.
/// </summary>
public static class PerplexityPage
{
    /// <summary>The file's text.</summary>
    public static string Of(PerplexityReport report)
    {
        var models = report.Measured.Select(m => m.Model).Distinct().ToList();
        var title = $"Context limit of {(models.Count == 1 ? models[0] : $"{models.Count} models")}";
        return Page.Document(
            title,
            Plain(
                "header",
                Page.Element("p", "kicker", FormattableString.Invariant($"{report.Made:d MMMM yyyy} · {report.Dtype} · {report.Protocols[0].Name}")),
                Plain("h1", title),
                Page.Element("ul", "findings", Findings.Of(report).Select(finding => Plain("li", finding)))),
            report.Measured.Any(m => m.Curve is not null) ? EffectiveContext(report) : null,
            report.Protocols.Select(protocol => Perplexity(report, protocol)),
            report.Measured.Any(m => m.Curve is not null) ? ByPosition(report) : null,
            report.Comparisons.Count > 0 ? Comparisons(report) : null,
            Gains(report),
            report.Measured.Any(m => m.Passkey is not null) ? Passkey(report) : null,
            OtherMeasures(report),
            report.Measured.Any(m => m.Bounds.Count > 0) ? Theory(report) : null,
            How(report),
            Plain("footer", $"Made by {report.Program}. Every number of this page, with all its digits, is in ppl.json beside it."));
    }

    /// <summary>The page of passkey retrieval alone: a report whose results have nothing else.</summary>
    internal static string OfPasskey(PerplexityReport report)
    {
        var models = report.Measured.Select(m => m.Model).Distinct().ToList();
        var title = $"Passkey retrieval of {(models.Count == 1 ? models[0] : $"{models.Count} models")}";
        return Page.Document(
            title,
            Plain("header", Page.Element("p", "kicker", FormattableString.Invariant($"{report.Made:d MMMM yyyy} · {report.Dtype}")), Plain("h1", title)),
            Passkey(report),
            Page.Section("How it was measured", null, PerplexityTables.Settings(report.Settings), PerplexityTables.Proofs(report)),
            Plain("footer", $"Made by {report.Program}. Every number of this page, with all its digits, is in passkey.json beside it."));
    }

    private static XElement EffectiveContext(PerplexityReport report) => Page.Section(
        "Effective context",
        $"Where the loss by position rises more than {Numbers.Short(report.Measured.First(m => m.Curve is not null).Curve!.EffectiveContext.Delta)} nats above its running minimum and stays there; whiskers are 95% intervals, an arrow means that no limit was found.",
        Page.Figure(PerplexityFigures.EffectiveContexts(report)));

    private static XElement Perplexity(PerplexityReport report, ProtocolNote protocol) => Page.Section(
        report.Protocols.Count == 1 ? "Perplexity against length" : $"Perplexity against length: {protocol.Name}",
        $"{protocol.Name}: {protocol.Definition}.",
        Page.Figure(PerplexityFigures.Perplexity(report, protocol.Name)),
        PerplexityTables.Perplexity(report, protocol.Name),
        PerplexityTables.PerWordAndByte(report, protocol.Name));

    private static XElement ByPosition(PerplexityReport report)
    {
        var curve = report.Measured.First(m => m.Curve is not null).Curve!;
        return Page.Section(
            "Loss by position",
            $"Mean negative log-likelihood of the tokens at each position of {Numbers.Count(curve.Windows)} {(curve.Windows == 1 ? "window" : "windows")} of {Numbers.Count(curve.Length)} tokens. Where a curve keeps falling the model uses the far context; where it rises the context is broken.",
            Page.Figure(PerplexityFigures.ByPosition(report), report.Measured[0].Bounds.Count > 0 ? $"Dashed: what theory predicts for {report.LabelOf(report.Measured[0])}." : null));
    }

    private static XElement Comparisons(PerplexityReport report) => Page.Section(
        $"Against {report.LabelOf(report.Measured[0])}",
        "Difference in nats per token, paired by text: below zero is better. In colour where the 95% interval leaves out zero.",
        report.Protocols.Select(protocol => PerplexityTables.Comparison(report, protocol.Name)));

    private static XElement? Gains(PerplexityReport report)
    {
        var tables = report.Protocols.Select(protocol => PerplexityTables.Gains(report, protocol.Name)).Where(table => table is not null).ToList();
        return tables.Count == 0 ? null : Page.Section(
            "What the longer context gives",
            "How much lower the loss of the very same tokens is with the longer context, nats per token: above zero the model uses it, at zero it ignores it.",
            tables);
    }

    private static XElement Passkey(PerplexityReport report)
    {
        var measured = report.Measured.Where(m => m.Passkey is not null).ToList();
        var answers = measured.Any(m => m.Passkey!.Cells.Any(cell => cell.Found > 0));
        return Page.Section(
            "Passkey retrieval",
            answers
                ? "Share of five-digit keys found by greedy decoding, by the depth at which they are hidden and the length of the prompt."
                : "No key was found by greedy decoding. Shown instead is the mean rank of the hidden key's likelihood among other keys, 1 the best: where it is coloured the model sees the key better than a guess would.",
            measured.Select(m => new[]
            {
                Plain("h3", report.LabelOf(m)),
                Page.Figure(answers ? PerplexityFigures.Passkey(report.LabelOf(m), m.Passkey!) : PerplexityFigures.PasskeyRank(report.LabelOf(m), m.Passkey!)),
            }),
            PerplexityTables.Passkey(report));
    }

    private static XElement? OtherMeasures(PerplexityReport report)
    {
        var tables = new[] { PerplexityTables.LongPpl(report), PerplexityTables.AttentionResolution(report) }.Where(table => table is not null).ToList();
        return tables.Count == 0 ? null : Page.Section("Other measures", null, tables);
    }

    private static XElement Theory(PerplexityReport report) => Page.Section(
        "Theory beside measurement", null, PerplexityTables.Theory(report));

    private static XElement How(PerplexityReport report) => Page.Section(
        "How it was measured",
        null,
        report.Notes.Count == 0 ? null : Page.Element("ul", "notes", report.Notes.Select(note => Plain("li", note))),
        PerplexityTables.Settings(
        [
            .. report.Protocols.Select(p => new Setting(p.Name, $"{p.Definition}. {p.TextStart}")),
            new Setting("texts", PerplexityTables.Texts(report.Corpus)),
            new Setting("number format", $"{report.Dtype}; log-softmax in float32"),
            .. report.Settings,
        ]),
        PerplexityTables.Proofs(report));

    private static XElement Plain(string name, params object?[] content) => Page.Plain(name, content);
}
