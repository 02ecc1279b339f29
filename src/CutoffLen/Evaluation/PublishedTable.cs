using System.Globalization;
using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Evaluation;

/// <summary>A perplexity as a paper printed it.</summary>
/// <param name="Value">The number.</param>
/// <param name="IsLowerBound">Whether it was printed as <c>&gt;1000</c>.</param>
public readonly record struct PublishedPerplexity(double Value, bool IsLowerBound)
{
    /// <summary>A printed number, <c>7.20</c> or <c>&gt;1000</c>; null for <c>-</c>.</summary>
    public static PublishedPerplexity? Parse(string text) =>
        text == "-" ? null : new(double.Parse(text.TrimStart('>'), CultureInfo.InvariantCulture), text[0] == '>');

    /// <summary>1 where the first is above the second, -1 where below, 0 where the printed numbers do not say.</summary>
    public static int Order(PublishedPerplexity one, PublishedPerplexity other) => (one.IsLowerBound, other.IsLowerBound) switch
    {
        (false, false) => one.Value.CompareTo(other.Value),
        (true, false) => one.Value >= other.Value ? 1 : 0,
        (false, true) => other.Value >= one.Value ? -1 : 0,
        _ => 0,
    };

    /// <summary>As printed.</summary>
    public override string ToString() => $"{(IsLowerBound ? ">" : "")}{Value.ToString(CultureInfo.InvariantCulture)}";
}

/// <summary>A row of a published table.</summary>
/// <param name="Label">The row's name in the table.</param>
/// <param name="Rope">The position method. A missing factor is the length over the native one.</param>
/// <param name="Length">The length that the method extends to, tokens; that of fine-tuning where there was any. Null for the native length.</param>
/// <param name="IsTuned">Whether it was fine-tuned.</param>
/// <param name="Perplexities">By length; null where the table has none.</param>
public sealed record PublishedRow(string Label, string Rope, int? Length, bool IsTuned, IReadOnlyList<PublishedPerplexity?> Perplexities);

/// <summary>A published table of perplexity by method and context length.</summary>
/// <param name="Name">The name on the command line.</param>
/// <param name="Source">Paper and table, or repository, file and commit.</param>
/// <param name="Measured">The model and the texts.</param>
/// <param name="NativeLength">Tokens that the model was trained at.</param>
/// <param name="Lengths">Context lengths, tokens.</param>
/// <param name="Rows">The rows.</param>
public sealed record PublishedTable(string Name, string Source, string Measured, int NativeLength, IReadOnlyList<int> Lengths, IReadOnlyList<PublishedRow> Rows)
{
    /// <summary>A length of the table on a model of another native length, in proportion; null where that is no whole number.</summary>
    public int? Scaled(int length, int nativeLength) =>
        (long)length * nativeLength % NativeLength == 0 ? (int)((long)length * nativeLength / NativeLength) : null;

    /// <summary>The cell of a sweep that is a row of this table on another model; null where the sweep has none.</summary>
    public GridCell? CellOf(PublishedRow row, IEnumerable<GridCell> cells, PositionModel model)
    {
        if (Scaled(row.Length ?? NativeLength, model.NativeLength) is not { } length)
        {
            return null;
        }

        var spec = new PositionSetup(PositionMethods.Parse(row.Rope), model, length).Spec;
        return cells.FirstOrDefault(cell => cell.Spec.Equals(spec) && cell.Cutoff == (row.IsTuned ? length : null));
    }

    /// <summary>Refuses a sweep that measures no row of this table.</summary>
    /// <exception cref="UserException">It has no such cell.</exception>
    public void Require(CutoffGrid grid, PositionModel model)
    {
        if (Rows.All(row => CellOf(row, grid.Cells, model) is null))
        {
            var wanted = Rows.Select(row => row.IsTuned ? $"{row.Rope} at cutoff {Scaled(row.Length!.Value, model.NativeLength)}" : row.Rope).Distinct();
            throw new UserException(
                $"no cell of this sweep is a row of {Name}; with this model's {model.NativeLength} tokens for the paper's {NativeLength} they are {string.Join(", ", wanted)}");
        }
    }
}
