using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Models.Llama;
using CutoffLen.Runs;

namespace CutoffLen.Reports;

/// <summary>A cell of a sweep with its results, under the resolved method.</summary>
public sealed record SweepCell : MeasuredMethod
{
    /// <summary>Puts the results of a method into a cell.</summary>
    public SweepCell(MeasuredMethod measured, GridCell cell)
        : base(measured) => (Rope, Cutoff) = ($"{cell.Row}", cell.Cutoff);

    /// <summary>The row as the user wrote it: the method, with its training positions where it has its own.</summary>
    public string Rope { get; }

    /// <summary>The cutoff of its fine-tuning, tokens; null for the untuned checkpoint.</summary>
    public int? Cutoff { get; }

    /// <summary>By length, the difference from the checkpoint as it is. At lengths up to the native one that is the price.</summary>
    public IReadOnlyList<PairedDifference> AgainstItself { get; init; } = [];

    /// <summary>By length, the difference from the same positions before fine-tuning; empty for untuned cells.</summary>
    public IReadOnlyList<PairedDifference> AgainstUntuned { get; init; } = [];

    /// <summary>By length, the difference from the first method tuned at the same cutoff; empty for that one and untuned cells.</summary>
    public IReadOnlyList<PairedDifference> AgainstFirst { get; init; } = [];

    /// <summary>Cost of its fine-tuning.</summary>
    public TrainingCost? Cost { get; init; }

    /// <summary>Whether it was fine-tuned.</summary>
    public bool IsTuned => Cutoff is not null;

    /// <summary>Its label beside cells before and after fine-tuning.</summary>
    public string Label => Cutoff is { } cutoff ? $"{Rope}, tuned at {Numbers.Tokens(cutoff)}" : Method;

    /// <summary>
    /// The price of the method: nats per token more than the checkpoint as it is, at the longest length up to the native
    /// one. Null where none was measured.
    /// </summary>
    public PairedDifference? Price => AgainstItself.LastOrDefault(difference => difference.Length <= NativeLength);
}

/// <summary>Growth of a method's effective context with the cutoff.</summary>
/// <param name="Rope">The method as the user wrote it; null for all of them together.</param>
/// <param name="Slope">
/// The fit over the checkpoint as it is, at its native length, and the method's tuned cells. Null with too few limits.
/// </param>
public sealed record MethodSlope(string? Rope, ContextSlope? Slope);

/// <summary>How well a theory predicts the effective contexts of RoPE with several bases.</summary>
/// <param name="Bound">Name of the predicted bound.</param>
/// <param name="IsTuned">Whether the contexts are those after fine-tuning.</param>
/// <param name="Score">The score.</param>
public sealed record BoundScore(string Bound, bool IsTuned, TheoryScore Score);

/// <summary>A sweep over position methods and cutoffs, before and after fine-tuning.</summary>
/// <param name="Model">Name of the checkpoint.</param>
/// <param name="NativeLength">Tokens it was trained at.</param>
/// <param name="Cells">Measured cells, untuned ones first; the very first is the checkpoint as it is.</param>
/// <param name="Planned">Cells of the whole sweep.</param>
/// <param name="Slopes">One for each tuned method, and one for all together.</param>
/// <param name="Scores">One for each bound of theory before and after fine-tuning; empty with fewer than three bases.</param>
public sealed record SweepSection(
    string Model, int NativeLength, IReadOnlyList<SweepCell> Cells, int Planned, IReadOnlyList<MethodSlope> Slopes, IReadOnlyList<BoundScore> Scores)
{
    private const int LeastBases = 3;

    /// <summary>The checkpoint as it is.</summary>
    public SweepCell Itself => Cells[0];

    /// <summary>Untuned cells.</summary>
    public IEnumerable<SweepCell> Before => Cells.Where(cell => !cell.IsTuned);

    /// <summary>Fine-tuned cells.</summary>
    public IEnumerable<SweepCell> After => Cells.Where(cell => cell.IsTuned);

    /// <summary>The cutoffs of the measured cells.</summary>
    public IReadOnlyList<int> Cutoffs => [.. After.Select(cell => cell.Cutoff!.Value).Distinct().Order()];

    /// <summary>The methods as the user wrote them, each once; the index decides its colour everywhere.</summary>
    public IReadOnlyList<string> Ropes => [.. Cells.Select(cell => cell.Rope).Distinct()];

    /// <summary>The cells with a limit whose positions are RoPE of a base, by rising base.</summary>
    public IReadOnlyList<SweepCell> OfBases => BasesOf(Cells);

    /// <summary>The slope over all methods; null with too few limits.</summary>
    public ContextSlope? Slope => Slopes.FirstOrDefault(slope => slope.Rope is null)?.Slope;

    /// <summary>Averages the scores of cells and compares them.</summary>
    /// <param name="model">Name of the checkpoint.</param>
    /// <param name="config">Its architecture.</param>
    /// <param name="scored">Cells in the grid's order, all on the same documents; the first is the checkpoint as it is.</param>
    /// <param name="planned">Cells of the whole sweep.</param>
    /// <param name="delta">The rise that ends the effective context, nats.</param>
    public static SweepSection Of(string model, LlamaConfig config, IReadOnlyList<ScoredCell> scored, int planned, double delta)
    {
        List<SweepCell> cells = [.. scored.Select(Cell)];
        return new SweepSection(model, config.NativeLength, cells, planned, SlopesOf(cells), ScoresOf(cells));

        SweepCell Cell(ScoredCell own)
        {
            var untuned = own.Cell.Cutoff is null ? null : scored.FirstOrDefault(other => other.Cell.Cutoff is null && other.Cell.Spec.Equals(own.Cell.Spec));
            var first = own.Cell.Cutoff is null ? null : scored.First(other => other.Cell.Cutoff == own.Cell.Cutoff);
            // A tuned checkpoint's config may have the same positions under another spec (ntk: another base). The cell keeps
            // the spec that the user asked for, and theory the checkpoint's own training.
            return new SweepCell(MeasuredMethod.Of(model, config, own.Scores with { Spec = own.Cell.Spec }, delta, own.Cell.Cutoff), own.Cell)
            {
                AgainstItself = Differences(own, scored[0]),
                AgainstUntuned = untuned is null ? [] : Differences(own, untuned),
                AgainstFirst = first is null || first == own ? [] : Differences(own, first),
                Cost = own.Cost,
            };
        }
    }

    /// <summary>Notes for the reader about the sweep, its documents and the certainty of its numbers.</summary>
    public IEnumerable<string> NotesOn(EvaluationDocuments documents)
    {
        if (Cells.Count < Planned)
        {
            yield return $"{Cells.Count} of {Planned} cells are measured so far; the sweep goes on when it is started again.";
        }

        foreach (var note in PerplexitySection.NotesOn(Cells, documents))
        {
            yield return note;
        }

        var open = Cells.Count(cell => cell is { IsTuned: true, Limit: { Tokens: null } });
        if (open > 0)
        {
            yield return $"In {open} fine-tuned {(open == 1 ? "cell" : "cells")} the sweep ended before the context did: such a limit is a lower bound, and is left out of the fitted slope. Longer lengths would find it.";
        }
    }

    private static IReadOnlyList<MethodSlope> SlopesOf(List<SweepCell> cells)
    {
        var tuned = cells.Where(cell => cell is { IsTuned: true, Limit: not null }).ToList();
        if (tuned.Count == 0 || cells[0].Limit is not { } native)
        {
            return [];
        }

        var start = new CutoffLimit(cells[0].NativeLength, native);
        MethodSlope Fit(string? rope, IEnumerable<SweepCell> of) =>
            new(rope, ContextSlope.Of([start, .. of.Select(cell => new CutoffLimit(cell.Cutoff!.Value, cell.Limit!))]));
        return [.. tuned.GroupBy(cell => cell.Rope).Select(own => Fit(own.Key, own)), Fit(null, tuned)];
    }

    private static IReadOnlyList<SweepCell> BasesOf(IEnumerable<SweepCell> cells) =>
        [.. cells.Where(cell => cell is { ScalingLaw: not null, Limit: not null }).OrderBy(cell => cell.ScalingLaw!.Base)];

    private static IReadOnlyList<BoundScore> ScoresOf(List<SweepCell> cells)
    {
        var ofBases = BasesOf(cells);
        if (ofBases.DistinctBy(cell => cell.ScalingLaw!.Base).Count() < LeastBases)
        {
            return [];
        }

        var scored =
            from cell in ofBases
            from bound in cell.Bounds
            group new PredictedLimit(bound.Tokens, bound.Name == MeasuredMethod.ScalingLawName && cell.ScalingLaw!.IsLowerBound, cell.Limit!)
                by (bound.Name, cell.IsTuned) into limits
            select new BoundScore(limits.Key.Name, limits.Key.IsTuned, TheoryScore.Of([.. limits])!);
        return [.. scored.OrderBy(score => score.IsTuned)];
    }

    private static IReadOnlyList<PairedDifference> Differences(ScoredCell cell, ScoredCell baseline) =>
        PerplexityStatistics.Differences(cell.Scores.Scores, baseline.Scores.Scores, protocol: 0);
}
