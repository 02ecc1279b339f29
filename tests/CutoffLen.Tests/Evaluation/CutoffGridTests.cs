using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;

namespace CutoffLen.Tests.Evaluation;

public sealed class CutoffGridTests
{
    private static readonly PositionConfig Plain = new() { MaxPositionEmbeddings = 256 };
    private static readonly PositionModel Model = new(16, 10_000, 256, 4, 4);

    [Fact]
    public void Before_fine_tuning_a_method_stands_as_it_will_for_each_cutoff_and_once_where_that_is_the_same()
    {
        var grid = Grid(["rope", "linear", "dynamic-ntk"], ["rope", "linear"], [512, 1024]);
        Assert.Equal(["rope", "linear:factor=2", "linear:factor=4", "dynamic-ntk:original=256"], grid.Before.Select(cell => cell.Spec.ToString()));
        Assert.All(grid.Before, cell => Assert.Null(cell.Cutoff));
        Assert.Equal(
            [("rope", 512), ("linear:factor=2", 512), ("rope", 1024), ("linear:factor=4", 1024)],
            grid.After.Select(cell => (cell.Spec.ToString(), cell.Cutoff!.Value)));
        Assert.Equal(8, grid.Cells.Count());
    }

    [Fact]
    public void The_checkpoint_as_it_is_comes_first_also_when_nobody_asked_for_it()
    {
        var grid = Grid(["yarn"], ["yarn"], [1024]);
        Assert.Equal(["rope", "yarn:factor=4,original=256"], grid.Before.Select(cell => cell.Spec.ToString()));
        Assert.Equal(["auto", "yarn"], grid.Before.Select(cell => cell.Row.Rope));
        // A method's own name is kept where it is the checkpoint's.
        Assert.Equal(["yarn", "rope"], Grid(["yarn", "rope"], [], [1024]).Before.Select(cell => cell.Row.Rope).Order().Reverse());
        Assert.Equal("rope", Grid(["yarn", "rope"], [], [1024]).Before[0].Row.Rope);
    }

    [Fact]
    public void Without_cutoffs_factors_are_made_for_the_longest_length()
    {
        var grid = Grid(["linear"], ["linear"], []);
        Assert.Equal(["rope", "linear:factor=16"], grid.Before.Select(cell => cell.Spec.ToString()));
        Assert.Empty(grid.After);
    }

    [Fact]
    public void A_target_length_stands_for_the_cutoff_in_factors()
    {
        var grid = CutoffGrid.Of(Plain, Model, [new("linear"), new("yarn", TargetLen: 1024)], null, [512], 2048, 4096);
        Assert.Equal(["linear:factor=8", "yarn:factor=4,original=256"], grid.After.Select(cell => cell.Spec.ToString()));
    }

    [Fact]
    public void Rows_of_one_method_with_other_training_positions_are_fine_tuned_apart_and_measured_once_before()
    {
        SweepRow[] rows = [new("linear:factor=4"), new("pi:factor=4", "pose", 1024), new("rope")];
        var grid = CutoffGrid.Of(Plain, Model, rows, ["rope", "linear:factor=4"], [512], null, 4096);
        Assert.Equal(["rope", "linear:factor=4"], grid.Before.Select(cell => $"{cell.Row}"));
        Assert.Equal(["rope", "linear:factor=4", "pi:factor=4 positions=pose target_len=1k"], grid.After.Select(cell => $"{cell.Row}"));
    }

    [Fact]
    public void A_method_that_does_not_fit_the_model_is_refused_before_any_work() =>
        Assert.Throws<UserException>(() => Grid(["llama3:low_freq_factor=4,high_freq_factor=1"], [], [512]));

    private static CutoffGrid Grid(string[] ropes, string[] tuned, int[] cutoffs) => CutoffGrid.Of(Plain, Model, [.. ropes.Select(rope => new SweepRow(rope))], tuned, cutoffs, null, 4096);
}
