using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Tests.Evaluation;

public sealed class TheoryScoreTests
{
    // The worked example of hours of television against intelligence quotients (rho = -29/165), and ties as scipy's spearmanr ranks them.
    [Theory]
    [InlineData(new double[] { 106, 86, 100, 101, 99, 103, 97, 113, 112, 110 }, new double[] { 7, 0, 27, 50, 28, 29, 20, 12, 6, 17 }, -29.0 / 165)]
    [InlineData(new double[] { 1, 2, 2, 3 }, new double[] { 1, 2, 3, 4 }, 0.9486832980505138)]
    [InlineData(new double[] { 1, 2, 3 }, new double[] { 5, 5, 5 }, double.NaN)]
    public void Rank_correlation_is_spearmans(double[] x, double[] y, double expected) =>
        Assert.Equal(expected, TheoryScore.Spearman(x, y), 1e-12);

    [Fact]
    public void Exact_predictions_score_one_and_one()
    {
        var score = TheoryScore.Of([Limit(256, 256), Limit(512, 512), Limit(900, 900)])!;
        Assert.Equal((3, 1.0, 1.0), (score.Limits, score.RankCorrelation!.Value, score.ErrorFactor));
        Assert.Null(score.ErrorInterval);
    }

    [Fact]
    public void Twice_and_half_do_not_cancel() =>
        Assert.Equal(2, TheoryScore.Of([Limit(200, 100), Limit(100, 200)])!.ErrorFactor, 1e-12);

    [Fact]
    public void Beyond_the_measured_lengths_nothing_is_told_apart()
    {
        // Predicted 5000 or none, measured ">= 2048": both are beyond.
        var score = TheoryScore.Of([Limit(5000, null), Limit(double.PositiveInfinity, null), Limit(256, 256), Limit(512, 1024)])!;
        Assert.Equal(Math.Exp(Math.Log(2) / 4), score.ErrorFactor, 1e-12);
        Assert.Equal(1, score.RankCorrelation!.Value, 1e-12);
    }

    [Fact]
    public void A_lower_bound_is_wrong_only_where_the_context_is_shorter_and_is_not_ranked()
    {
        Assert.Equal(1, TheoryScore.Of([Limit(256, 2000, isLowerBound: true)])!.ErrorFactor);
        var score = TheoryScore.Of([Limit(256, 128, isLowerBound: true), Limit(1, 1), Limit(2, 2)])!;
        Assert.Equal(Math.Exp(Math.Log(2) / 3), score.ErrorFactor, 1e-12);
        Assert.Null(score.RankCorrelation);
    }

    [Fact]
    public void Intervals_are_over_the_paired_draws_of_the_limits()
    {
        // In one draw the order turns round.
        var limits = new[] { (100, new double[] { 100, 300 }), (200, [200, 200]), (400, [400, double.PositiveInfinity]) };
        var score = TheoryScore.Of([.. limits.Select(l => new PredictedLimit(l.Item1, false, new EffectiveContextLimit(l.Item1, 2048, null, 0.1) { Draws = l.Item2 }))])!;
        Assert.Equal((1.0, 1.0), (score.RankCorrelation!.Value, score.ErrorFactor));
        // Ranks 2, 1, 3: rho = 1 - 6 * 2 / (3 * 8). Errors: ln 3, 0, and ln(2048 / 400), as no limit is the longest length.
        Assert.Equal(0.5 + (0.025 * 0.5), score.RankInterval!.Value.Low, 1e-9);
        var error = Math.Exp(Math.Log(3 * 2048.0 / 400) / 3);
        Assert.Equal(1 + (0.975 * (error - 1)), score.ErrorInterval!.Value.High, 1e-9);
    }

    private static PredictedLimit Limit(double predicted, int? measured, bool isLowerBound = false) =>
        new(predicted, isLowerBound, new EffectiveContextLimit(measured, 2048, null, 0.1));
}
