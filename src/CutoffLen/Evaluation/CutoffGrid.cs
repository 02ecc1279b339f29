using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Evaluation;

/// <summary>A cell of a sweep: the checkpoint under a position method, untuned or fine-tuned.</summary>
/// <param name="Rope">The method as the user wrote it.</param>
/// <param name="Spec">The resolved spec.</param>
/// <param name="Cutoff">The cutoff of its fine-tuning, tokens; null for the untuned checkpoint.</param>
public sealed record GridCell(string Rope, PositionSpec Spec, int? Cutoff);

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
    /// <param name="ropes">The methods.</param>
    /// <param name="tuned">The methods to fine-tune with.</param>
    /// <param name="cutoffs">The cutoffs, ascending; a missing factor is the cutoff over the native length.</param>
    /// <param name="target">The target length of training-time position ids, where it is not the cutoff.</param>
    /// <param name="longest">The longest length measured; it decides missing factors where there are no cutoffs.</param>
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
