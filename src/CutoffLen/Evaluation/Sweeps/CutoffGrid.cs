using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Evaluation.Sweeps;

/// <summary>A cell of a sweep over methods and cutoffs: a checkpoint under a position method, as it is or fine-tuned.</summary>
/// <param name="Rope">The method as the user wrote it.</param>
/// <param name="Spec">The same with everything filled in.</param>
/// <param name="Cutoff">The cutoff it is fine-tuned at, tokens; null for the checkpoint as it is.</param>
public sealed record GridCell(string Rope, PositionSpec Spec, int? Cutoff);

/// <summary>
/// The cells of a sweep. Before fine-tuning a method stands as it will for each cutoff, so that what training adds can be
/// told from what the positions do; where the cutoff changes nothing in a method, that is one cell.
/// </summary>
/// <param name="Before">Of the checkpoint as it is; the first is the checkpoint under its own method.</param>
/// <param name="After">Fine-tuned, cutoff by cutoff.</param>
public sealed record CutoffGrid(IReadOnlyList<GridCell> Before, IReadOnlyList<GridCell> After)
{
    /// <summary>All cells.</summary>
    public IEnumerable<GridCell> Cells => Before.Concat(After);

    /// <summary>The cells for a checkpoint.</summary>
    /// <param name="own">What its config.json says of positions.</param>
    /// <param name="model">What methods need to know of it.</param>
    /// <param name="ropes">The methods.</param>
    /// <param name="tuned">The ones to fine-tune with.</param>
    /// <param name="cutoffs">To fine-tune at, ascending; a missing factor is made for them.</param>
    /// <param name="target">The length that training-time positions reach, instead of the cutoff; null for the cutoff.</param>
    /// <param name="longest">The longest length measured, which missing factors are made for where there are no cutoffs.</param>
    /// <exception cref="UserException">A method does not fit the model.</exception>
    public static CutoffGrid Of(
        PositionConfig own, PositionModel model, IReadOnlyList<string> ropes, IReadOnlyList<string> tuned, IReadOnlyList<int> cutoffs, int? target, int longest)
    {
        PositionSpec Spec(string rope, int length) => new PositionSetup(own.Resolve(PositionMethods.Parse(rope)), model, length).Spec;

        var targets = cutoffs.Count == 0 ? [longest] : cutoffs.Select(cutoff => target ?? cutoff);
        var itself = new GridCell("auto", Spec("auto", longest), null);
        var written = ropes.Select(rope => targets.Select(length => new GridCell(rope, Spec(rope, length), null))).SelectMany(cells => cells);
        var before = written.Prepend(itself).GroupBy(cell => cell.Spec)
            // A method's own name says more than auto.
            .Select(same => same.FirstOrDefault(cell => !PositionMethods.Parse(cell.Rope).IsAuto) ?? same.First());
        var after = cutoffs.SelectMany(cutoff => tuned.Select(rope => new GridCell(rope, Spec(rope, target ?? cutoff), cutoff)));
        return new CutoffGrid([.. before], [.. after]);
    }
}
