using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Tests.Evaluation;

public sealed class ContextSlopeTests
{
    [Fact]
    public void A_power_law_is_found_with_its_exponent_and_factor()
    {
        var slope = ContextSlope.Of([Limit(256, 3 * 16), Limit(1024, 3 * 32), Limit(4096, 3 * 64)])!;
        Assert.Equal(0.5, slope.Exponent, 1e-9);
        Assert.Equal(3, slope.AtOne, 1e-9);
        Assert.Equal(3 * Math.Sqrt(900), slope.At(900), 1e-9);
        Assert.Null(slope.Interval);
        Assert.Equal((3, 0), (slope.Points, slope.Open));
    }

    [Fact]
    public void Limits_at_one_cutoff_or_mostly_beyond_the_sweep_give_none()
    {
        Assert.Null(ContextSlope.Of([Limit(256, 250)]));
        Assert.Null(ContextSlope.Of([Limit(256, 250), Limit(256, 260)]));
        Assert.Null(ContextSlope.Of([Limit(256, 250), Limit(512, null), Limit(1024, null)]));
        Assert.Null(ContextSlope.Of([Limit(256, 250), Limit(512, 500), Limit(1024, null), Limit(2048, null), Limit(4096, null)]));
    }

    [Fact]
    public void A_limit_beyond_the_sweep_is_left_out_and_counted()
    {
        var slope = ContextSlope.Of([Limit(256, 256), Limit(512, 512), Limit(1024, null)])!;
        Assert.Equal(1, slope.Exponent, 1e-9);
        Assert.Equal((2, 1), (slope.Points, slope.Open));
    }

    [Fact]
    public void The_interval_pairs_the_draws_of_all_points()
    {
        // Draw by draw both limits are halved or doubled together: the exponent is always 1.
        double[] scales = [0.5, 1, 2, 1, 0.5, 2];
        var paired = ContextSlope.Of([Limit(256, 256, [.. scales.Select(s => s * 256)]), Limit(1024, 1024, [.. scales.Select(s => s * 1024)])])!;
        Assert.Equal(1, paired.Interval!.Value.Low, 1e-9);
        Assert.Equal(1, paired.Interval.Value.High, 1e-9);

        // Only the second one's limit moves, and once to beyond the sweep of 4096, which counts as 4096.
        var moved = ContextSlope.Of([Limit(256, 256, [256, 256]), Limit(1024, 1024, [1024, double.PositiveInfinity])])!;
        Assert.Equal(1, moved.Interval!.Value.Low, 0.05);
        Assert.Equal(2, moved.Interval.Value.High, 0.05);
    }

    [Fact]
    public void Nothing_on_the_front_is_beaten_and_everything_else_is()
    {
        Assert.Equal([2, 0, 4], ParetoFront.Of([(512, 0.1), (512, 0.2), (256, 0.0), (300, 0.15), (2048, 0.9), (256, 0.05)]));
        Assert.Equal([0], ParetoFront.Of([(1024, -0.3), (512, 0.1), (1024, -0.3)]));
        Assert.Empty(ParetoFront.Of([]));
    }

    private static CutoffLimit Limit(int cutoff, int? tokens, double[]? draws = null) =>
        new(cutoff, new EffectiveContextLimit(tokens, 4096, null, 0.1) { Draws = draws ?? [] });
}
