using System.Globalization;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports;

/// <summary>
/// <c>sweep.csv</c>: a row for each cell, with perplexity in a column for each length. Numbers with all their digits; an
/// empty field where there is none. An effective context without a limit has an empty end, its lower bound is the longest
/// length.
/// </summary>
public static class SweepCsv
{
    /// <summary>The table as RFC 4180 has it, with line feeds.</summary>
    public static string Of(SweepReport report)
    {
        IEnumerable<string> head =
        [
            "model", "rope", "method", "stage", "cutoff", "dtype", "protocol", "effective_context", "effective_context_low", "effective_context_high",
            "price_at_native", "price_low", "price_high", "training_tokens", "training_seconds", .. report.Lengths.Select(length => $"ppl_{length}"),
        ];
        return PerplexityCsv.Table(report.Cells.Select(cell => Row(report, cell)).Prepend(head));
    }

    private static IEnumerable<string> Row(SweepReport report, SweepCell cell) =>
    [
        report.Model, cell.Rope, cell.Measured.Method, cell.IsTuned ? "after" : "before", Text(cell.Cutoff), report.Dtype, report.Protocol.Name,
        Text(cell.Limit?.Tokens), .. Ends(cell.Limit?.Interval), Text(cell.Price?.Nats), .. Ends(cell.Price?.Interval),
        Text(cell.Cost?.Tokens), Text(cell.Cost?.Seconds), .. cell.Measured.Protocols[0].Lengths.Select(result => Text(result.Perplexity)),
    ];

    private static IEnumerable<string> Ends(Interval? interval) => [Text(interval?.Low), Text(interval?.High)];

    private static string Text(double? number) => number is { } value && double.IsFinite(value) ? value.ToString("R", CultureInfo.InvariantCulture) : "";
}
