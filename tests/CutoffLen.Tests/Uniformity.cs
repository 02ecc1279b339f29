namespace CutoffLen.Tests;

/// <summary>A chi-squared test that counts come from a uniform distribution.</summary>
internal static class Uniformity
{
    /// <summary>
    /// Fails when the counts are further from uniform than chance explains: six standard deviations of the statistic,
    /// which has mean n - 1 and variance 2 (n - 1). Seeds are fixed, so the answer never changes.
    /// </summary>
    public static void Holds(IReadOnlyList<int> counts)
    {
        var expected = counts.Sum() / (double)counts.Count;
        Assert.True(expected >= 20, $"only {expected} draws a cell: too few for the test to mean anything");
        var statistic = counts.Sum(count => (count - expected) * (count - expected) / expected);
        var freedom = counts.Count - 1.0;
        Assert.InRange(statistic, freedom - 6 * Math.Sqrt(2 * freedom), freedom + 6 * Math.Sqrt(2 * freedom));
    }
}
