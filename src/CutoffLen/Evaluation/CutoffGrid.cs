using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Evaluation;

/// <summary>A row of a sweep: a position method, and how its positions are trained.</summary>
/// <param name="Rope">The method as the user wrote it.</param>
/// <param name="Positions">Position ids in training; null for those of all rows.</param>
/// <param name="TargetLen">The length whose positions are trained, tokens; null for that of all rows.</param>
public sealed record SweepRow(string Rope, string? Positions = null, int? TargetLen = null)
{
    /// <summary>The method, then the row's own keys: <c>clex positions=clex target_len=4k</c>.</summary>
    public override string ToString() =>
        Rope + (Positions is null ? "" : $" positions={Positions}") + (TargetLen is { } target ? $" target_len={Lengths.Format(target)}" : "");
}

/// <summary>A cell of a sweep: the checkpoint under a position method, untuned or fine-tuned.</summary>
/// <param name="Row">The row that it belongs to.</param>
/// <param name="Spec">The resolved spec.</param>
/// <param name="Cutoff">The cutoff of its fine-tuning, tokens; null for the untuned checkpoint.</param>
public sealed record GridCell(SweepRow Row, PositionSpec Spec, int? Cutoff);

/// <summary>
/// The cells of a sweep over methods and cutoffs. Each method is also measured without fine-tuning, once per cutoff: this
/// separates the effect of training from that of the method. Methods that ignore the cutoff get one such cell.
/// </summary>
/// <param name="Before">Untuned cells; the first is the checkpoint under its own method.</param>
/// <param name="After">Fine-tuned cells, cutoff by cutoff.</param>
public sealed record CutoffGrid(IReadOnlyList<GridCell> Before, IReadOnlyList<GridCell> After)
{
    /// <summary>All cells.</summary>
    public IEnumerable<GridCell> Cells => Before.Concat(After);

    /// <summary>The cells for a checkpoint.</summary>
    /// <param name="own">The position settings of its config.json.</param>
    /// <param name="model">Its shape, as methods need it.</param>
    /// <param name="rows">The methods.</param>
    /// <param name="tuned">Of these, the methods to fine-tune with, in order; null for all.</param>
    /// <param name="cutoffs">The cutoffs, ascending; a missing factor is the cutoff over the native length.</param>
    /// <param name="target">The target length of training-time position ids where a row has none of its own; null for the cutoff.</param>
    /// <param name="longest">The longest length measured; it decides missing factors where there are no cutoffs.</param>
    /// <exception cref="UserException">A method does not fit the model.</exception>
    public static CutoffGrid Of(
        PositionConfig own, PositionModel model, IReadOnlyList<SweepRow> rows, IReadOnlyList<string>? tuned, IReadOnlyList<int> cutoffs, int? target, int longest)
    {
        // At a cutoff; null for the longest length.
        PositionSpec Spec(SweepRow row, int? cutoff) =>
            new PositionSetup(own.Resolve(PositionMethods.Parse(row.Rope)), model, cutoff is { } tokens ? row.TargetLen ?? target ?? tokens : longest).Spec;

        var auto = new SweepRow("auto");
        IReadOnlyList<int?> stages = cutoffs.Count == 0 ? [null] : [.. cutoffs.Select(cutoff => (int?)cutoff)];
        var written = rows.SelectMany(row => stages.Select(cutoff => new GridCell(row, Spec(row, cutoff), null)));
        var before = written.Prepend(new GridCell(auto, Spec(auto, null), null)).GroupBy(cell => cell.Spec)
            // A method's own name says more than auto.
            .Select(same => same.FirstOrDefault(cell => !PositionMethods.Parse(cell.Row.Rope).IsAuto) ?? same.First());
        var trained = tuned is null ? rows : tuned.Select(PositionMethods.Parse).SelectMany(rope => rows.Where(row => PositionMethods.Parse(row.Rope).Equals(rope)));
        var after = cutoffs.SelectMany(cutoff => trained.Select(row => new GridCell(row, Spec(row, cutoff), cutoff)));
        return new CutoffGrid([.. before], [.. after]);
    }
}
