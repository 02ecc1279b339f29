namespace CutoffLen.Reports;

/// <summary>The files of a sweep's folder.</summary>
public static class ReportFiles
{
    /// <summary>Writes <c>ppl.csv</c>, <c>ppl.json</c> and <c>report.html</c>, each under another name first, so that none is ever half there.</summary>
    public static void Write(PerplexityReport report, string folder)
    {
        Replace(Path.Combine(folder, "ppl.csv"), PerplexityCsv.Of(report));
        Replace(Path.Combine(folder, "ppl.json"), PerplexityJson.Text(report));
        Replace(Path.Combine(folder, "report.html"), Html.PerplexityPage.Of(report));
    }

    /// <summary>Writes <c>sweep.csv</c>, <c>sweep.json</c> and <c>report.html</c> in the same way.</summary>
    public static void Write(SweepReport report, string folder)
    {
        Replace(Path.Combine(folder, "sweep.csv"), SweepCsv.Of(report));
        Replace(Path.Combine(folder, "sweep.json"), SweepJson.Text(report));
        Replace(Path.Combine(folder, "report.html"), Html.SweepPage.Of(report));
    }

    /// <summary>Writes a file so that it is never half there.</summary>
    internal static void Replace(string path, string text)
    {
        File.WriteAllText(path + ".new", text);
        File.Move(path + ".new", path, overwrite: true);
    }
}
