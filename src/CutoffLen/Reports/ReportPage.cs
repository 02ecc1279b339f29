using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Reports.Html;

namespace CutoffLen.Reports;

/// <summary>
/// <c>report.html</c>, <c>passkey.html</c>, <c>ruler.html</c> and <c>summarization.html</c>: a report as one page that fetches nothing. It has
/// findings, figures, tables, and how everything was measured. For screen and phone, light and dark, and for paper.
/// </summary>
public static class ReportPage
{
    /// <summary>The file's text.</summary>
    public static string Of(Report report)
    {
        var title = TitleOf(report);
        return Page.Document(
            title,
            Plain(
                "header",
                Page.Element("p", "kicker", FormattableString.Invariant($"{report.Made:d MMMM yyyy} · {report.Dtype}{(report.Perplexity is { } perplexity ? $" · {perplexity.Protocols[0].Name}" : "")}")),
                Plain("h1", title),
                Findings.Of(report).Select(finding => Plain("li", finding)).ToList() is { Count: > 0 } findings ? Page.Element("ul", "findings", findings) : null),
            SectionsOf(report),
            How(report),
            Plain("footer", $"Made by {report.Program}. Every number of this page, with all its digits, is in {ReportFiles.NameOf(report)}.json beside it."));
    }

    private static string TitleOf(Report report)
    {
        var models = report.Methods.Select(m => m.Model).Distinct().ToList();
        var name = models.Count == 1 ? models[0] : $"{models.Count} models";
        return report.IsOfSummaries ? $"Summaries by {name}"
            : report.IsRuler ? $"RULER scores of {name}"
            : report.Perplexity is null ? $"Passkey retrieval of {name}"
            : report.Sweep is { Cutoffs.Count: > 0 } ? $"Context limit of {name}, before and after fine-tuning"
            : $"Context limit of {name}";
    }

    private static IEnumerable<XElement?> SectionsOf(Report report) => report switch
    {
        { Sweep: { } sweep, Perplexity: { } perplexity } => SweepSections.Of(report, perplexity, sweep),
        { Perplexity: { } perplexity } => PerplexitySections.Of(report, perplexity),
        { IsOfSummaries: true } => [PerplexitySections.Summaries(report)],
        { IsRuler: true } => [RulerSection.Of(report)],
        _ => [PerplexitySections.Passkey(report)],
    };

    private static XElement How(Report report) => Page.Section(
        "How it was measured",
        null,
        report.Perplexity is not { Notes.Count: > 0 } noted ? null : Page.Element("ul", "notes", noted.Notes.Select(note => Plain("li", note))),
        ReportTables.Settings(
        [
            .. report.Perplexity is not { } perplexity ? [] : (Setting[])
            [
                .. perplexity.Protocols.Select(p => new Setting(p.Name, $"{p.Definition}. {p.DocumentStart}")),
                new Setting("texts", CorpusLine(perplexity.Corpus)),
                new Setting("number format", $"{report.Dtype}; log-softmax in float32"),
            ],
            .. report.Settings,
        ]),
        ReportTables.Proofs(report));

    private static string CorpusLine(Corpus corpus) =>
        $"{Numbers.Count(corpus.Documents)} with {Numbers.Count(corpus.Tokens)} tokens, the longest {Numbers.Count(corpus.LongestTokens)}: {string.Join(", ", corpus.Sources)}";

    private static XElement Plain(string name, params object?[] content) => Page.Plain(name, content);
}
