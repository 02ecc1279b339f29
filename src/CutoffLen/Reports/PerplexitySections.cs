using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Reports.Html;

namespace CutoffLen.Reports;

/// <summary>The sections of the page on perplexity, passkey retrieval and summaries.</summary>
internal static class PerplexitySections
{
    /// <summary>The sections, from top to bottom.</summary>
    public static IEnumerable<XElement?> Of(Report report, PerplexitySection perplexity) =>
    [
        EffectiveContext(report, ""),
        .. perplexity.Protocols.Select(protocol => Perplexity(report, perplexity, protocol)),
        ByPosition(report),
        Comparisons(report, perplexity),
        Gains(report, perplexity),
        report.Methods.Any(m => m.Passkey is not null) ? Passkey(report) : null,
        Attention(report),
        OtherMeasures(report),
        Theory(report),
    ];

    /// <summary>Where the context of every method ends; null where none has a curve.</summary>
    /// <param name="report">The report.</param>
    /// <param name="legend">A sentence on the markers, or empty.</param>
    public static XElement? EffectiveContext(Report report, string legend) => report.Methods.FirstOrDefault(m => m.Limit is not null)?.Limit is not { } limit ? null : Page.Section(
        "Effective context",
        $"Where the loss by position rises more than {Numbers.Short(limit.Delta)} nats above its running minimum and stays there{(legend.Length == 0 ? "; " : $". {legend}; ")}whiskers are 95% intervals, an arrow means that no limit was found.",
        Page.Figure(ReportFigures.EffectiveContexts(report)));

    /// <summary>Predicted bounds beside measured limits; null where no method has bounds.</summary>
    public static XElement? Theory(Report report) =>
        report.Methods.Any(m => m.Bounds.Count > 0) ? Page.Section("Theory beside measurement", null, ReportTables.Theory(report)) : null;

    /// <summary>Passkey retrieval of every method that has it.</summary>
    public static XElement Passkey(Report report)
    {
        var measured = report.Methods.Where(m => m.Passkey is not null).ToList();
        var answers = measured.Any(m => m.Passkey!.Cells.Any(cell => cell.Found > 0));
        return Page.Section(
            "Passkey retrieval",
            answers
                ? "Share of keys found by greedy decoding, by the depth at which they are hidden and the length of the prompt."
                : "No key was found by greedy decoding. Shown instead is the mean rank of the hidden key's likelihood among other keys, 1 the best: where it is coloured the model sees the key better than a guess would.",
            measured.Select(m => new[]
            {
                Page.Plain("h3", report.LabelOf(m)),
                Page.Figure(answers ? ReportFigures.Passkey(report.LabelOf(m), m.Passkey!) : ReportFigures.PasskeyRank(report.LabelOf(m), m.Passkey!)),
            }),
            ReportTables.Passkey(report));
    }

    /// <summary>ROUGE of every method, and the first document's summaries to read.</summary>
    public static XElement Summaries(Report report)
    {
        var first = report.Methods[0].Summarization!.Summaries[0];
        return Page.Section(
            "Summaries",
            "ROUGE of the generated summaries against the references, by rouge-score's algorithm with stemming. rougeL takes a text as one sentence, rougeLsum a line as one.",
            ReportTables.Summaries(report),
            Page.Plain("h3", $"The first document: {first.Source}"),
            Page.Plain("p", Page.Plain("strong", "Reference: "), first.Reference),
            report.Methods.Select(m => Page.Plain("p", Page.Plain("strong", $"{report.LabelOf(m)}: "), m.Summarization!.Summaries[0].Summary)));
    }

    private static XElement Perplexity(Report report, PerplexitySection perplexity, ProtocolNote protocol) => Page.Section(
        perplexity.Protocols.Count == 1 ? "Perplexity against length" : $"Perplexity against length: {protocol.Name}",
        $"{protocol.Name}: {protocol.Definition}.",
        Page.Figure(ReportFigures.Perplexity(report, protocol.Name)),
        ReportTables.Perplexity(report, protocol.Name),
        ReportTables.PerWordAndByte(report, protocol.Name));

    private static XElement? ByPosition(Report report) => report.Methods.FirstOrDefault(m => m.Curve is not null)?.Curve is not { } curve ? null : Page.Section(
        "Loss by position",
        $"Mean negative log-likelihood of the tokens at each position of {Numbers.Count(curve.Windows)} {(curve.Windows == 1 ? "window" : "windows")} of {Numbers.Count(curve.Length)} tokens. Where a curve keeps falling the model uses the far context; where it rises the context is broken.",
        Page.Figure(ReportFigures.ByPosition(report), report.Methods[0].Bounds.Count > 0 ? $"Dashed: what theory predicts for {report.LabelOf(report.Methods[0])}." : null));

    private static XElement? Comparisons(Report report, PerplexitySection perplexity) => perplexity.Comparisons.Count == 0 ? null : Page.Section(
        $"Against {report.LabelOf(report.Methods[0])}",
        "Difference in nats per token, paired by text: below zero is better. In colour where the 95% interval leaves out zero.",
        perplexity.Protocols.Select(protocol => ReportTables.Comparison(report, perplexity, protocol.Name)));

    private static XElement? Gains(Report report, PerplexitySection perplexity)
    {
        var tables = perplexity.Protocols.Select(protocol => ReportTables.Gains(report, protocol.Name)).Where(table => table is not null).ToList();
        return tables.Count == 0 ? null : Page.Section(
            "What the longer context gives",
            "How much lower the loss of the very same tokens is with the longer context, nats per token: above zero the model uses it, at zero it ignores it.",
            tables);
    }

    private static XElement? OtherMeasures(Report report)
    {
        List<XElement?> tables = [ReportTables.LongPpl(report), .. ReportTables.AttentionResolution(report)];
        tables.RemoveAll(table => table is null);
        return tables.Count == 0 ? null : Page.Section("Other measures", null, tables);
    }

    private static XElement? Attention(Report report) => report.Methods.FirstOrDefault(m => m.AttentionDistributions is not null)?.AttentionDistributions is not { } first ? null : Page.Section(
        "Attention",
        $"How uncertain attention is, and how far the method moves it from the checkpoint's own, over the first {Numbers.Count(first.EntropyByPosition.Length)} tokens of a text. Uniform attention over n keys has an entropy of ln n nats; the divergence is at most ln 2.",
        Page.Figure(ReportFigures.AttentionByPosition(report, "attention entropy, nats", bucket => bucket.Entropy)),
        Page.Figure(ReportFigures.AttentionByPosition(report, "Jensen-Shannon divergence, nats", bucket => bucket.Divergence)),
        ReportTables.AttentionDistributions(report));
}
