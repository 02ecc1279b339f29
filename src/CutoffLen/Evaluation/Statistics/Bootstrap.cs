using CutoffLen.Common;

namespace CutoffLen.Evaluation.Statistics;

/// <summary>A 95% interval; an end is infinite where the sweep ended before it was reached.</summary>
/// <param name="Low">2.5% quantile.</param>
/// <param name="High">97.5% quantile.</param>
public readonly record struct Interval(double Low, double High)
{
    /// <summary>The interval seen through an increasing function.</summary>
    public Interval Map(Func<double, double> increasing) => new(increasing(Low), increasing(High));

    /// <summary>Whether the interval lies on one side of a value.</summary>
    public bool Excludes(double value) => value < Low || value > High;
}

/// <summary>
/// Percentile bootstrap (Efron 1979): units (texts, or windows of a single text) are drawn with replacement, and the
/// middle 95% of the statistic's values over the draws is the interval. Draws depend on the seed and the number of units
/// only, so two methods measured on the same units see the same draws and their difference is paired.
/// </summary>
public sealed class Bootstrap
{
    private readonly int[][] draws;

    /// <summary>Draws <paramref name="resamples"/> times from <paramref name="units"/> units.</summary>
    public Bootstrap(int units, int resamples = 2000, int seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(units);
        Units = units;
        var random = new KeyedRandom(seed, "bootstrap", units);
        draws = new int[resamples][];
        for (var r = 0; r < resamples; r++)
        {
            var counts = draws[r] = new int[units];
            for (var i = 0; i < units; i++)
            {
                counts[random.Below(units)]++;
            }
        }
    }

    /// <summary>Units drawn from.</summary>
    public int Units { get; }

    /// <summary>
    /// The interval of a statistic of how often each unit was drawn; null with a single unit, which says nothing of the
    /// spread. Infinite values sort as the largest.
    /// </summary>
    public Interval? Of(Func<int[], double> statistic) => Middle(Values(statistic));

    /// <summary>A statistic's value in every draw; none with a single unit, whose draws are all the same.</summary>
    public double[] Values(Func<int[], double> statistic) => Units < 2 ? [] : Array.ConvertAll(draws, draw => statistic(draw));

    /// <summary>The middle 95% of such values; null when there are none.</summary>
    public static Interval? Middle(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Where(value => !double.IsNaN(value)).Order()];
        return sorted.Length == 0 ? null : new Interval(Quantile(sorted, 0.025), Quantile(sorted, 0.975));
    }

    /// <summary>The interval of a ratio of sums, such as nats per token.</summary>
    public Interval? OfRatio(IReadOnlyList<Ratio> units) => Of(draw => Ratio.Of(units, draw));

    /// <summary>The interval of the difference of two ratios over the same units.</summary>
    public Interval? OfDifference(IReadOnlyList<Ratio> units, IReadOnlyList<Ratio> others) =>
        Of(draw => Ratio.Of(units, draw) - Ratio.Of(others, draw));

    /// <summary>The quantile of sorted values, linear between the two nearest.</summary>
    internal static double Quantile(double[] sorted, double q)
    {
        var at = q * (sorted.Length - 1);
        var (low, high) = (sorted[(int)Math.Floor(at)], sorted[(int)Math.Ceiling(at)]);
        return double.IsInfinity(high) ? (at % 1 > 0.5 ? high : low) : low + ((high - low) * (at % 1));
    }
}

/// <summary>What a unit adds to a ratio of sums.</summary>
/// <param name="Sum">To the numerator, such as nats.</param>
/// <param name="Weight">To the denominator, such as tokens.</param>
public readonly record struct Ratio(double Sum, double Weight)
{
    /// <summary>The ratio over all units; NaN where nothing has weight.</summary>
    public static double Of(IEnumerable<Ratio> units)
    {
        double sum = 0, weight = 0;
        foreach (var unit in units)
        {
            sum += unit.Sum;
            weight += unit.Weight;
        }

        return sum / weight;
    }

    /// <summary>The ratio with every unit counted as often as it was drawn.</summary>
    public static double Of(IReadOnlyList<Ratio> units, int[] draw)
    {
        double sum = 0, weight = 0;
        for (var i = 0; i < draw.Length; i++)
        {
            sum += draw[i] * units[i].Sum;
            weight += draw[i] * units[i].Weight;
        }

        return sum / weight;
    }
}
