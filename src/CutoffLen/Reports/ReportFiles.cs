using CutoffLen.Files;

namespace CutoffLen.Reports;

/// <summary>The files of a report's folder.</summary>
public static class ReportFiles
{
    /// <summary>
    /// Writes the views of a report: <c>sweep.csv</c>, <c>sweep.json</c> and <c>report.html</c> of a sweep; <c>ppl.csv</c>,
    /// <c>ppl.json</c> and <c>report.html</c> of perplexity; else <c>passkey.json</c> and <c>passkey.html</c>. Each is
    /// written whole or not at all.
    /// </summary>
    public static void Write(Report report, string folder)
    {
        var name = NameOf(report);
        if (report.Perplexity is not null)
        {
            AtomicFile.WriteText(Path.Combine(folder, $"{name}.csv"), ReportCsv.Of(report));
        }

        AtomicFile.WriteText(Path.Combine(folder, $"{name}.json"), ReportJson.Text(report));
        AtomicFile.WriteText(Path.Combine(folder, report.Perplexity is null ? $"{name}.html" : "report.html"), ReportPage.Of(report));
    }

    /// <summary>The name of a report's files, without extension.</summary>
    internal static string NameOf(Report report) => report switch { { Sweep: not null } => "sweep", { Perplexity: not null } => "ppl", _ => "passkey" };
}
