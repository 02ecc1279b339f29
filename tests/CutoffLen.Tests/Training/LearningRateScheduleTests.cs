using CutoffLen.Training;

namespace CutoffLen.Tests.Training;

/// <summary>Values worked out by hand from transformers' formulas.</summary>
public sealed class LearningRateScheduleTests
{
    [Theory]
    [InlineData(0, 0.0)]
    [InlineData(1, 0.25)]
    [InlineData(3, 0.75)]
    [InlineData(4, 1.0)]
    [InlineData(8, 0.6)] // (14 - 8) / (14 - 4)
    [InlineData(13, 0.1)]
    [InlineData(14, 0.0)]
    [InlineData(20, 0.0)]
    public void Linear_rises_through_the_warm_up_and_falls_to_zero_at_the_end(long step, double factor) =>
        Assert.Equal(2e-5 * factor, new LearningRateSchedule(ScheduleShape.Linear, 2e-5, 4, 14).At(step), 1e-15);

    [Theory]
    [InlineData(0, 0.0)]
    [InlineData(2, 0.5)]
    [InlineData(4, 1.0)]
    [InlineData(6, 0.8535533905932737)] // (1 + cos(pi / 4)) / 2
    [InlineData(8, 0.5)]
    [InlineData(10, 0.1464466094067263)]
    [InlineData(12, 0.0)]
    [InlineData(16, 0.0)]
    public void Cosine_falls_along_half_a_cosine(long step, double factor) =>
        Assert.Equal(3e-4 * factor, new LearningRateSchedule(ScheduleShape.Cosine, 3e-4, 4, 12).At(step), 1e-15);

    [Theory]
    [InlineData(0, 0.0)]
    [InlineData(1, 0.5)]
    [InlineData(2, 1.0)]
    [InlineData(999, 1.0)]
    public void Constant_stays_after_the_warm_up(long step, double factor) =>
        Assert.Equal(factor, new LearningRateSchedule(ScheduleShape.Constant, 1, 2, 10).At(step), 1e-15);

    [Theory]
    [InlineData(ScheduleShape.Constant)]
    [InlineData(ScheduleShape.Linear)]
    [InlineData(ScheduleShape.Cosine)]
    public void Without_warm_up_the_first_step_has_the_full_rate(ScheduleShape shape) =>
        Assert.Equal(1, new LearningRateSchedule(shape, 1, 0, 10).At(0));

    [Fact]
    public void A_warm_up_as_long_as_the_run_is_all_warm_up()
    {
        var schedule = new LearningRateSchedule(ScheduleShape.Linear, 1, 10, 10);
        Assert.Equal(0.9, schedule.At(9), 1e-15);
        Assert.Equal(0, schedule.At(10));
    }

    [Theory]
    [InlineData(0, 0.03, 1000, 30)]
    [InlineData(0, 0.03, 101, 4)]
    [InlineData(7, 0.03, 1000, 7)]
    [InlineData(0, 0.0, 1000, 0)]
    public void Warm_up_steps_win_over_the_ratio_which_rounds_up(long steps, double ratio, long total, long expected) =>
        Assert.Equal(expected, LearningRateSchedule.Warmup(steps, ratio, total));
}
