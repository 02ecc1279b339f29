using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Models.Llama;
using CutoffLen.Runs;

namespace CutoffLen.Reports;

/// <summary>Makes reports of sweeps over methods and cutoffs.</summary>
public static class SweepReporting
{
    /// <summary>The cells with averages, intervals and paired differences, those before fine-tuning first.</summary>
    /// <param name="model">Name of the checkpoint.</param>
    /// <param name="config">Its architecture.</param>
    /// <param name="scored">Cells in the grid's order, all on the same texts; the first is the checkpoint as it is.</param>
    /// <param name="delta">The rise that ends the effective context, nats.</param>
    public static IReadOnlyList<SweepCell> Cells(string model, LlamaConfig config, IReadOnlyList<ScoredCell> scored, double delta) =>
    [
        .. scored.Select(own =>
        {
            var untuned = own.Cell.Cutoff is null ? null : scored.FirstOrDefault(other => other.Cell.Cutoff is null && other.Cell.Spec.Equals(own.Cell.Spec));
            var first = own.Cell.Cutoff is null ? null : scored.First(other => other.Cell.Cutoff == own.Cell.Cutoff);
            // A fine-tuned checkpoint's config may say the same positions in other words (ntk: another base); what the
            // user asked for is the name, and theory asks for the checkpoint's own training.
            var sweep = own.Sweep with { Spec = own.Cell.Spec };
            return new SweepCell(own.Cell.Rope, own.Cell.Cutoff, PerplexityReporting.Measured(model, config, sweep, delta), Differences(own, scored[0]))
            {
                AgainstUntuned = untuned is null ? [] : Differences(own, untuned),
                AgainstFirst = first is null || first == own ? [] : Differences(own, first),
                Cost = own.Cost,
            };
        }),
    ];

    /// <summary>How each fine-tuned method's effective context grows with the cutoff, and that of all together.</summary>
    public static IReadOnlyList<MethodSlope> Slopes(IReadOnlyList<SweepCell> cells)
    {
        var tuned = cells.Where(cell => cell is { IsTuned: true, Limit: not null }).ToList();
        if (tuned.Count == 0 || cells[0].Limit is not { } native)
        {
            return [];
        }

        var start = new CutoffLimit(cells[0].Measured.NativeLength, native);
        MethodSlope Fit(string? rope, IEnumerable<SweepCell> of) =>
            new(rope, ContextSlope.Of([start, .. of.Select(cell => new CutoffLimit(cell.Cutoff!.Value, cell.Limit!))]));
        return [.. tuned.GroupBy(cell => cell.Rope).Select(own => Fit(own.Key, own)), Fit(null, tuned)];
    }

    /// <summary>What a reader should know.</summary>
    public static IEnumerable<string> Notes(IReadOnlyList<SweepCell> cells, int planned, EvaluationTexts texts)
    {
        if (cells.Count < planned)
        {
            yield return $"{cells.Count} of {planned} cells are measured so far; the sweep goes on when it is started again.";
        }

        foreach (var note in PerplexityReporting.Notes([.. cells.Select(cell => cell.Measured)], texts))
        {
            yield return note;
        }

        var open = cells.Count(cell => cell is { IsTuned: true, Limit: { Tokens: null } });
        if (open > 0)
        {
            yield return $"In {open} fine-tuned {(open == 1 ? "cell" : "cells")} the sweep ended before the context did: such a limit is a lower bound, and is left out of the fitted slope. Longer lengths would find it.";
        }
    }

    private static IReadOnlyList<PairedDifference> Differences(ScoredCell cell, ScoredCell baseline) =>
        SweepStatistics.Differences(cell.Sweep.Scores, baseline.Sweep.Scores, protocol: 0);
}
