using System.Globalization;

namespace CutoffLen.Reports;

/// <summary>
/// <c>ppl.csv</c>: a row for each model, position method and protocol, a column for each length. Perplexities with all
/// their digits; an empty field where no text reached the length.
/// </summary>
public static class PerplexityCsv
{
    /// <summary>The table as RFC 4180 has it, with line feeds.</summary>
    public static string Of(PerplexityReport report)
    {
        List<IEnumerable<string>> rows = [["model", "method", "protocol", "dtype", .. report.Lengths.Select(length => $"{length}")]];
        foreach (var measured in report.Measured)
        {
            foreach (var protocol in measured.Protocols)
            {
                var values = protocol.Lengths.Select(result => result.Perplexity?.ToString("R", CultureInfo.InvariantCulture) ?? "");
                rows.Add([measured.Model, measured.Method, protocol.Protocol, report.Dtype, .. values]);
            }
        }

        return Table(rows);
    }

    /// <summary>Rows of fields as RFC 4180 has them, with line feeds.</summary>
    internal static string Table(IEnumerable<IEnumerable<string>> rows) => string.Concat(rows.Select(row => string.Join(',', row.Select(Field)) + "\n"));

    private static string Field(string text) => text.AsSpan().ContainsAny(",\"\r\n") ? $"\"{text.Replace("\"", "\"\"")}\"" : text;
}
