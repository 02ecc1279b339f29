namespace CutoffLen.Evaluation.Statistics;

/// <summary>A predicted effective context beside the measured one.</summary>
/// <param name="Tokens">The prediction; infinite for "none".</param>
/// <param name="IsLowerBound">Whether theory only says that the context is at least that.</param>
/// <param name="Measured">The measured one.</param>
public sealed record PredictedLimit(double Tokens, bool IsLowerBound, EffectiveContextLimit Measured);

/// <summary>
/// How well predicted contexts agree with measured ones. A context beyond the measured lengths counts as the longest of
/// them, predicted or measured.
/// </summary>
/// <param name="Limits">Contexts compared.</param>
/// <param name="RankCorrelation">
/// Spearman's rho, ties at their mean rank, over the predictions that are no lower bounds. Null with fewer than three of
/// these, or where either side is constant.
/// </param>
/// <param name="RankInterval">Its 95% interval over documents, paired over all limits; null where there are no draws.</param>
/// <param name="ErrorFactor">
/// exp of the mean of |ln(predicted / measured)|: 1 is exact, 2 is twice or half on average. A lower bound is only wrong
/// where the measured context is shorter.
/// </param>
/// <param name="ErrorInterval">Its 95% interval.</param>
public sealed record TheoryScore(int Limits, double? RankCorrelation, Interval? RankInterval, double ErrorFactor, Interval? ErrorInterval)
{
    // Two limits are in one order or the other, whatever was predicted.
    private const int LeastRanked = 3;

    /// <summary>The score; null without limits.</summary>
    public static TheoryScore? Of(IReadOnlyList<PredictedLimit> limits)
    {
        if (limits.Count == 0)
        {
            return null;
        }

        var ranked = limits.Where(limit => !limit.IsLowerBound).ToList();
        double Measured(PredictedLimit limit, int? draw) =>
            Math.Min(draw is { } n ? limit.Measured.Draws[n] : limit.Measured.Tokens ?? double.PositiveInfinity, limit.Measured.Swept);
        double Rank(int? draw) => ranked.Count < LeastRanked
            ? double.NaN
            : Spearman([.. ranked.Select(Predicted)], [.. ranked.Select(limit => Measured(limit, draw))]);
        double Error(int? draw) => Math.Exp(limits.Average(limit => Distance(limit, Measured(limit, draw))));

        var draws = Enumerable.Range(0, limits.Min(limit => limit.Measured.Draws.Count)).ToList();
        var rank = Rank(null);
        return new TheoryScore(
            limits.Count, double.IsNaN(rank) ? null : rank, double.IsNaN(rank) ? null : Bootstrap.Middle(draws.Select(n => Rank(n))),
            Error(null), Bootstrap.Middle(draws.Select(n => Error(n))));
    }

    /// <summary>Spearman's rank correlation; NaN where either side is constant.</summary>
    internal static double Spearman(double[] x, double[] y)
    {
        var (a, b) = (Ranks(x), Ranks(y));
        var mean = (x.Length + 1) / 2.0;
        var covariance = a.Zip(b).Sum(pair => (pair.First - mean) * (pair.Second - mean));
        return covariance / Math.Sqrt(a.Sum(rank => (rank - mean) * (rank - mean)) * b.Sum(rank => (rank - mean) * (rank - mean)));
    }

    private static double Predicted(PredictedLimit limit) => Math.Min(limit.Tokens, limit.Measured.Swept);

    private static double Distance(PredictedLimit limit, double measured)
    {
        var distance = Math.Log(Predicted(limit) / measured);
        return limit.IsLowerBound ? Math.Max(0, distance) : Math.Abs(distance);
    }

    // 1 for the smallest; equal values share the mean of their ranks.
    private static double[] Ranks(double[] values) =>
        Array.ConvertAll(values, value => values.Count(other => other < value) + ((values.Count(other => other == value) + 1) / 2.0));
}
