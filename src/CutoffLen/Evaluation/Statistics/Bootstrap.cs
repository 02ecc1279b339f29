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

    /// <summary>
    /// Wilson's score interval of a share (Newcombe, Statistics in Medicine 17, 1998, method 3). It has a width where all trials
    /// went one way too.
    /// </summary>
    public static Interval OfShare(double share, int trials)
    {
        const double z = 1.959963984540054;
        var (scale, center) = (1 + (z * z / trials), share + (z * z / (2 * trials)));
        var half = z * Math.Sqrt((share * (1 - share) / trials) + (z * z / (4.0 * trials * trials)));
        return new(Math.Max(0, (center - half) / scale), Math.Min(1, (center + half) / scale));
    }
}

/// <summary>
/// Percentile bootstrap (Efron 1979). Units (documents, or windows of a single document) are drawn with replacement. The
/// interval is the middle 95% of the statistic's values over the draws. Draws depend only on the seed and the number of
/// units, so methods measured on the same units see the same draws and their difference is paired.
/// </summary>
public sealed class Bootstrap
{
    /// <summary>Number of draws.</summary>
    public const int Draws = 2000;

    private readonly int[][] draws;

    /// <summary>Draws <see cref="Draws"/> times from <paramref name="units"/> units.</summary>
    public Bootstrap(int units, int seed = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(units);
        Units = units;
        var random = new KeyedRandom(seed, "bootstrap", units);
        draws = new int[Draws][];
        for (var r = 0; r < Draws; r++)
        {
            var counts = draws[r] = new int[units];
            for (var i = 0; i < units; i++)
            {
                counts[random.Below(units)]++;
            }
        }
    }

    /// <summary>The method in a line, for reports.</summary>
    public static string Description => $"{Draws} draws, 95% percentile intervals";

    /// <summary>Units drawn from.</summary>
    public int Units { get; }

    /// <summary>
    /// The interval of a statistic of the draw counts. Null with a single unit, which has no spread. Infinite values sort
    /// as the largest.
    /// </summary>
    public Interval? Of(Func<int[], double> statistic) => Middle(Values(statistic));

    /// <summary>A statistic's value in every draw; empty with a single unit, whose draws are all the same.</summary>
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

/// <summary>A unit's part in a ratio of sums.</summary>
/// <param name="Sum">Added to the numerator, such as nats.</param>
/// <param name="Weight">Added to the denominator, such as tokens.</param>
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

    /// <summary>The ratio of one draw: every unit counts as often as it was drawn.</summary>
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
