using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Evaluation;

public sealed class PublishedTableTests
{
    private static readonly PositionModel Model = new(64, 10_000, 256, 4, 4) { Layers = 6 };

    public static TheoryData<string> Names => [.. PublishedTables.All.Select(table => table.Name)];

    [Theory]
    [InlineData("7.13", "6.95", 1)]
    [InlineData("6.95", "7.13", -1)]
    [InlineData("6.95", "6.95", 0)]
    [InlineData(">1000", "7.69", 1)]
    [InlineData("7.69", ">100", -1)]
    [InlineData(">100", "112.13", 0)]
    [InlineData("112.13", ">100", 0)]
    [InlineData(">1000", ">100", 0)]
    public void Printed_numbers_are_ordered_where_they_say_so(string one, string other, int order) =>
        Assert.Equal(order, PublishedPerplexity.Order(PublishedPerplexity.Parse(one)!.Value, PublishedPerplexity.Parse(other)!.Value));

    [Fact]
    public void A_dash_is_no_number() => Assert.Null(PublishedPerplexity.Parse("-"));

    [Theory]
    [MemberData(nameof(Names))]
    public void Every_row_has_a_number_or_a_dash_for_every_length_and_a_cell_in_the_sweep_that_repeats_it(string name)
    {
        var table = PublishedTables.Parse(name);
        Assert.Equal(table.Lengths.Order(), table.Lengths);
        Assert.All(table.Rows, row => Assert.Equal(table.Lengths.Count, row.Perplexities.Count));
        // Of one method and length there is one row before and one after fine-tuning.
        Assert.Equal(table.Rows.Count, table.Rows.Select(row => (row.Rope, row.Length, row.IsTuned)).Distinct().Count());
        var grid = Grid(table, [.. table.Rows.Where(row => row.IsTuned).Select(row => table.Scaled(row.Length!.Value, 256)!.Value).Distinct().Order()]);
        table.Require(grid, Model);
        Assert.All(table.Rows, row => Assert.Equal(row.IsTuned ? row.Length!.Value / (table.NativeLength / 256) : null, table.CellOf(row, grid.Cells, Model)!.Cutoff));
    }

    [Fact]
    public void Lengths_and_factors_are_in_proportion_to_the_native_length()
    {
        var table = PublishedTables.Parse("pi-table");
        Assert.Equal([256, 512, 1024, 2048, 4096], table.Lengths.Select(length => table.Scaled(length, 256)));
        Assert.Null(table.Scaled(2049, 256));
        var grid = Grid(table, [1024, 2048]);
        Assert.Equal("linear:factor=4", $"{table.CellOf(table.Rows.Single(row => row.Label == "PI 8192, 0 steps"), grid.Cells, Model)!.Spec}");
        Assert.Equal("linear:factor=8", $"{table.CellOf(table.Rows.Single(row => row.Label == "PI 16384"), grid.Cells, Model)!.Spec}");
        Assert.Null(table.CellOf(table.Rows.Single(row => row.Label == "PI 32768"), grid.Cells, Model));
    }

    [Fact]
    public void A_sweep_of_other_methods_and_an_unknown_table_are_refused()
    {
        var table = PublishedTables.Parse("yarn-table");
        var refused = Assert.Throws<UserException>(() => table.Require(Grid(table, [1024]), Model));
        Assert.Contains("linear at cutoff 512, abf:base=20000 at cutoff 512, yarn at cutoff 512", refused.Message, StringComparison.Ordinal);
        Assert.Contains("did you mean pi-table?", Assert.Throws<UserException>(() => PublishedTables.Parse("pi-tabel")).Message, StringComparison.Ordinal);
    }

    private static CutoffGrid Grid(PublishedTable table, IReadOnlyList<int> cutoffs)
    {
        GridCell Cell(string rope, int length, int? cutoff) => new(new(rope), new PositionSetup(PositionMethods.Parse(rope), Model, length).Spec, cutoff);
        var ropes = table.Rows.Select(row => row.Rope).Distinct().ToList();
        return new CutoffGrid(
            [.. ropes.SelectMany(rope => cutoffs.Select(length => Cell(rope, length, null)))],
            [.. ropes.SelectMany(rope => cutoffs.Select(length => Cell(rope, length, length)))]);
    }
}
