using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Models.Llama;
using CutoffLen.Reports.Html;
using CutoffLen.Runs;

namespace CutoffLen.Reports;

/// <summary>Whether a measured difference has the published sign.</summary>
public enum Agreement
{
    /// <summary>It has.</summary>
    Agrees,

    /// <summary>Its interval includes zero.</summary>
    Undecided,

    /// <summary>It has the other sign.</summary>
    Differs,
}

/// <summary>A published order or change, and what was measured.</summary>
/// <param name="Text">In words, with the paper's lengths: "FT 8192 is above PI 8192 at 8,192 tokens".</param>
/// <param name="IsOrder">Whether it is the order of two rows at a length, else the change of a row from a length to the next.</param>
/// <param name="Measured">The first row less the second, or the longer length less the shorter.</param>
/// <param name="Agreement">Whether both have one sign.</param>
public sealed record PublishedRelation(string Text, bool IsOrder, PairedDifference Measured, Agreement Agreement);

/// <summary>A published table beside a sweep that repeats it on another model.</summary>
/// <param name="Table">The table.</param>
/// <param name="Lengths">Its lengths on this model; null where this model has none.</param>
/// <param name="Rows">Its rows, each with the cell that is the same here; null where none is measured.</param>
/// <param name="Relations">The orders and changes that the table prints and the sweep measures.</param>
public sealed record PublishedSection(
    PublishedTable Table, IReadOnlyList<int?> Lengths, IReadOnlyList<(PublishedRow Published, SweepCell? Cell)> Rows, IReadOnlyList<PublishedRelation> Relations)
{
    /// <summary>Compares a table with a sweep.</summary>
    /// <param name="table">The table.</param>
    /// <param name="config">The architecture.</param>
    /// <param name="scored">The cells of the sweep.</param>
    /// <param name="sweep">Their averages, in the same order.</param>
    public static PublishedSection Of(PublishedTable table, LlamaConfig config, IReadOnlyList<ScoredCell> scored, SweepSection sweep)
    {
        var cells = scored.Select(cell => cell.Cell).ToList();
        var rows = table.Rows.Select(row => (Row: row, At: table.CellOf(row, cells, config.Positions) is { } cell ? cells.IndexOf(cell) : (int?)null)).ToList();
        IReadOnlyList<int?> lengths = [.. table.Lengths.Select(length => table.Scaled(length, config.NativeLength))];
        var measured = rows.Where(row => row.At is not null).Select(row => (row.Row, scored[row.At!.Value].Scores.Scores)).ToList();
        return new PublishedSection(
            table, lengths, [.. rows.Select(row => (row.Row, row.At is { } at ? sweep.Cells[at] : null))],
            [.. Orders(table, lengths, measured), .. measured.SelectMany(row => Changes(table, lengths, row.Row, row.Scores))]);
    }

    /// <summary>How much agrees, in sentences.</summary>
    internal IEnumerable<string> Findings()
    {
        foreach (var (isOrder, name) in new[] { (true, "orders of two methods at a length"), (false, "rises and falls from a length to the next") })
        {
            var of = Relations.Where(relation => relation.IsOrder == isOrder).ToList();
            if (of.Count > 0)
            {
                int Count(Agreement agreement) => of.Count(relation => relation.Agreement == agreement);
                yield return $"Of {of.Count} {name} in {Table.Source}, {Count(Agreement.Agrees)} agree here, {Count(Agreement.Undecided)} are undecided, {Count(Agreement.Differs)} differ.";
            }
        }
    }

    /// <summary>The section of the page.</summary>
    internal XElement Section() => Page.Section(
        $"The published table: {Table.Name}",
        $"{Table.Measured}, native length {Numbers.Count(Table.NativeLength)} tokens: {Table.Source}. Lengths here are in proportion to the native length. Perplexities of other models and texts compare by their order and by where they rise, not by their size.",
        Page.Table(
            "Perplexity measured here with 95% intervals; below it the published one",
            ["", .. Table.Lengths.Select((length, column) => (object)new object[] { Numbers.Tokens(length), Page.Sub(Lengths[column] is { } here ? $"here {Numbers.Tokens(here)}" : "not here") })],
            Rows.Select(row => (IEnumerable<object>)
            [
                new object[] { row.Published.Label, Page.Sub(row.Cell?.Label ?? "not in this sweep") },
                .. Table.Lengths.Select((_, column) => new object?[]
                {
                    Result(row.Cell, column) is not { Perplexity: { } perplexity } result ? Page.Missing()
                        : new object[] { Numbers.Perplexity(perplexity), result.PerplexityInterval is { } interval ? Page.Sub(Intervals.Perplexity(interval)) : "" },
                    row.Published.Perplexities[column] is { } published ? Page.Sub($"published {published}") : null,
                }),
            ])),
        Page.Element("ul", "notes", Relations.Where(relation => relation.Agreement == Agreement.Differs).Select(relation => Page.Plain(
            "li", $"Published, but not here: {relation.Text} (measured {Numbers.Signed(relation.Measured.Nats)} nats, 95% {Intervals.Signed(relation.Measured.Interval!.Value)})."))));

    /// <summary>What a cell has at a column of the table; null where that is not measured.</summary>
    internal LengthResult? Result(SweepCell? cell, int column) => cell?.Protocols[0].Lengths.FirstOrDefault(result => result.Length == Lengths[column]);

    private static IEnumerable<PublishedRelation> Orders(PublishedTable table, IReadOnlyList<int?> lengths, List<(PublishedRow Row, PerplexityScores Scores)> measured) =>
        from first in Enumerable.Range(0, measured.Count)
        from second in Enumerable.Range(first + 1, measured.Count - first - 1)
        let one = measured[first]
        let other = measured[second]
        from difference in PerplexityStatistics.Differences(one.Scores, other.Scores, protocol: 0)
        let column = Enumerable.Range(0, lengths.Count).FirstOrDefault(at => lengths[at] == difference.Length, -1)
        where column >= 0
        let sign = Sign(one.Row.Perplexities[column], other.Row.Perplexities[column])
        where sign != 0
        select Relation(
            $"{one.Row.Label} is {(sign > 0 ? "above" : "below")} {other.Row.Label} at {Numbers.Count(table.Lengths[column])} tokens", isOrder: true, sign, difference);

    private static IEnumerable<PublishedRelation> Changes(PublishedTable table, IReadOnlyList<int?> lengths, PublishedRow row, PerplexityScores scores) =>
        from column in Enumerable.Range(1, lengths.Count - 1)
        let sign = Sign(row.Perplexities[column], row.Perplexities[column - 1])
        where sign != 0 && lengths[column - 1] is not null && lengths[column] is not null
        let change = PerplexityStatistics.Change(scores, lengths[column - 1]!.Value, lengths[column]!.Value, protocol: 0)
        where change is not null
        select Relation(
            $"{row.Label} {(sign > 0 ? "rises" : "falls")} from {Numbers.Count(table.Lengths[column - 1])} to {Numbers.Count(table.Lengths[column])} tokens", isOrder: false, sign, change!);

    private static int Sign(PublishedPerplexity? one, PublishedPerplexity? other) => one is { } a && other is { } b ? PublishedPerplexity.Order(a, b) : 0;

    private static PublishedRelation Relation(string text, bool isOrder, int sign, PairedDifference measured) => new(
        text, isOrder, measured, !measured.IsSignificant ? Agreement.Undecided : Math.Sign(measured.Nats) == sign ? Agreement.Agrees : Agreement.Differs);
}
