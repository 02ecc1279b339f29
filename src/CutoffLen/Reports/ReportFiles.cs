using CutoffLen.Files;

namespace CutoffLen.Reports;

/// <summary>The files of a report's folder.</summary>
public static class ReportFiles
{
    /// <summary>
    /// Writes the views of a report: <c>sweep.csv</c>, <c>sweep.json</c> and <c>report.html</c> of a sweep; <c>ppl.csv</c>,
    /// <c>ppl.json</c> and <c>report.html</c> of perplexity; <c>ruler.csv</c>, <c>ruler.json</c> and <c>ruler.html</c>;
    /// <c>summarization.json</c> and <c>summarization.html</c> of summaries; else <c>passkey.json</c> and <c>passkey.html</c>. Each is written
    /// whole or not at all.
    /// </summary>
    /// <returns>The names of the files, the page first.</returns>
    public static IReadOnlyList<string> Write(Report report, string folder)
    {
        var name = NameOf(report);
        var views = new List<(string File, string Text)>
        {
            (report.Perplexity is null ? $"{name}.html" : "report.html", ReportPage.Of(report)),
            ($"{name}.json", ReportJson.Text(report)),
        };
        if (report.Perplexity is not null || report.IsRuler)
        {
            views.Insert(1, ($"{name}.csv", ReportCsv.Of(report)));
        }

        foreach (var (file, text) in Enumerable.Reverse(views))
        {
            AtomicFile.WriteText(Path.Combine(folder, file), text);
        }

        return [.. views.Select(view => view.File)];
    }

    /// <summary>The name of a report's files, without extension.</summary>
    internal static string NameOf(Report report) => report switch
    {
        { Sweep: not null } => "sweep",
        { Perplexity: not null } => "ppl",
        { IsOfSummaries: true } => "summarization",
        { IsRuler: true } => "ruler",
        _ => "passkey",
    };
}
