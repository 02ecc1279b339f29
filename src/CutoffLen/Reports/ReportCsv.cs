using System.Globalization;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports;

/// <summary>
/// <c>ppl.csv</c>, a row for each model, method and protocol; <c>sweep.csv</c>, a row for each cell; and <c>ruler.csv</c>, a row
/// for each model, method and task. Perplexity and scores have a column for each length. Numbers have all their digits. A
/// field without a number is empty, so is an end of an effective context beyond the measured lengths.
/// </summary>
public static class ReportCsv
{
    /// <summary>The table as RFC 4180 has it, with line feeds.</summary>
    public static string Of(Report report)
    {
        var rows = report.Sweep is { } sweep ? OfSweep(report, sweep) : report.IsRuler ? OfRuler(report) : OfPerplexity(report);
        return string.Concat(rows.Select(row => string.Join(',', row.Select(Field)) + "\n"));
    }

    private static IEnumerable<IEnumerable<string>> OfPerplexity(Report report)
    {
        yield return ["model", "method", "protocol", "dtype", .. report.Perplexity!.Lengths.Select(length => $"{length}")];
        foreach (var measured in report.Methods)
        {
            foreach (var protocol in measured.Protocols)
            {
                yield return [measured.Model, measured.Method, protocol.Protocol, report.Dtype, .. protocol.Lengths.Select(result => Text(result.Perplexity))];
            }
        }
    }

    private static IEnumerable<IEnumerable<string>> OfSweep(Report report, SweepSection sweep)
    {
        yield return
        [
            "model", "rope", "method", "stage", "cutoff", "dtype", "protocol", "effective_context", "effective_context_low", "effective_context_high",
            "price_at_native", "price_low", "price_high", "training_tokens", "training_seconds", .. report.Perplexity!.Lengths.Select(length => $"ppl_{length}"),
        ];
        foreach (var cell in sweep.Cells)
        {
            yield return
            [
                sweep.Model, cell.Rope, cell.Method, cell.IsTuned ? "after" : "before", Text(cell.Cutoff), report.Dtype, cell.Protocols[0].Protocol,
                Text(cell.Limit?.Tokens), .. Ends(cell.Limit?.Interval), Text(cell.Price?.Nats), .. Ends(cell.Price?.Interval),
                Text(cell.Cost?.Tokens), Text(cell.Cost?.Seconds), .. cell.Protocols[0].Lengths.Select(result => Text(result.Perplexity)),
            ];
        }
    }

    private static IEnumerable<IEnumerable<string>> OfRuler(Report report)
    {
        yield return ["model", "method", "task", "dtype", .. report.Methods[0].Ruler!.Lengths.Select(length => $"{length}")];
        foreach (var measured in report.Methods)
        {
            var ruler = measured.Ruler!;
            foreach (var task in ruler.Tasks)
            {
                yield return [measured.Model, measured.Method, task, report.Dtype, .. ruler.Lengths.Select(length => Text(ruler.At(task, length).Score.Percent))];
            }

            yield return [measured.Model, measured.Method, "average", report.Dtype, .. ruler.Lengths.Select(length => Text(ruler.Average(length).Percent))];
        }
    }

    private static IEnumerable<string> Ends(Interval? interval) => [Text(interval?.Low), Text(interval?.High)];

    private static string Text(double? number) => number is { } value && double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : "";

    private static string Field(string text) => text.AsSpan().ContainsAny(",\"\r\n") ? $"\"{text.Replace("\"", "\"\"")}\"" : text;
}
