using CutoffLen.Files;

namespace CutoffLen.Reports;

/// <summary>The files of a sweep's folder.</summary>
public static class ReportFiles
{
    /// <summary>Writes <c>ppl.csv</c>, <c>ppl.json</c> and <c>report.html</c>, each whole or not at all.</summary>
    public static void Write(PerplexityReport report, string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, "ppl.csv"), PerplexityCsv.Of(report));
        AtomicFile.WriteText(Path.Combine(folder, "ppl.json"), PerplexityJson.Text(report));
        AtomicFile.WriteText(Path.Combine(folder, "report.html"), Html.PerplexityPage.Of(report));
    }

    /// <summary>Writes <c>sweep.csv</c>, <c>sweep.json</c> and <c>report.html</c> in the same way.</summary>
    public static void Write(SweepReport report, string folder)
    {
        AtomicFile.WriteText(Path.Combine(folder, "sweep.csv"), SweepCsv.Of(report));
        AtomicFile.WriteText(Path.Combine(folder, "sweep.json"), SweepJson.Text(report));
        AtomicFile.WriteText(Path.Combine(folder, "report.html"), Html.SweepPage.Of(report));
    }
}
