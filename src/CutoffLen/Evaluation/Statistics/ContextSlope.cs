namespace CutoffLen.Evaluation.Statistics;

/// <summary>The effective context of a model and the cutoff of its training.</summary>
/// <param name="Cutoff">Tokens.</param>
/// <param name="Limit">Its effective context.</param>
public sealed record CutoffLimit(int Cutoff, EffectiveContextLimit Limit);

/// <summary>
/// How the effective context grows with the cutoff: the exponent b of context = a * cutoff^b, by least squares of the
/// logarithms. At b = 1 twice the cutoff gives twice the context; at b = 0 the cutoff does not matter.
/// </summary>
/// <param name="Exponent">b.</param>
/// <param name="AtOne">a, tokens at a cutoff of one token.</param>
/// <param name="Interval">95% interval of b, drawn over documents, the same for all points; null where there are no draws.</param>
/// <param name="Points">Limits that were fitted.</param>
/// <param name="Open">Limits beyond the measured lengths, left out of the fit.</param>
public sealed record ContextSlope(double Exponent, double AtOne, Interval? Interval, int Points, int Open)
{
    /// <summary>The fitted context of a cutoff, tokens.</summary>
    public double At(double cutoff) => AtOne * Math.Pow(cutoff, Exponent);

    /// <summary>The fit. Null with limits at fewer than two cutoffs, or where most limits are beyond the measured lengths.</summary>
    public static ContextSlope? Of(IReadOnlyList<CutoffLimit> limits)
    {
        var found = limits.Where(limit => limit.Limit.Tokens is > 0).ToList();
        if (found.Select(limit => limit.Cutoff).Distinct().Count() < 2 || 2 * found.Count < limits.Count)
        {
            return null;
        }

        var (exponent, atOne) = Fit(found, limit => limit.Limit.Tokens!.Value);
        var draws = found.Min(limit => limit.Limit.Draws.Count);
        // A draw without a limit counts as the longest measured length, its lower bound.
        var drawn = Enumerable.Range(0, draws).Select(n => Fit(found, limit => Math.Min(limit.Limit.Draws[n], limit.Limit.Swept)).Exponent);
        return new ContextSlope(exponent, atOne, Bootstrap.Middle(drawn), found.Count, limits.Count - found.Count);
    }

    private static (double Exponent, double AtOne) Fit(List<CutoffLimit> limits, Func<CutoffLimit, double> tokens)
    {
        var points = limits.Select(limit => (X: Math.Log(limit.Cutoff), Y: Math.Log(tokens(limit)))).ToList();
        var (x, y) = (points.Average(point => point.X), points.Average(point => point.Y));
        var exponent = points.Sum(point => (point.X - x) * (point.Y - y)) / points.Sum(point => (point.X - x) * (point.X - x));
        return (exponent, Math.Exp(y - (exponent * x)));
    }
}

/// <summary>The Pareto front of reach against price.</summary>
public static class ParetoFront
{
    /// <summary>Indices of the Pareto-optimal items, sorted by reach.</summary>
    /// <param name="items">Reach, more being better, and price, less being better.</param>
    public static IReadOnlyList<int> Of(IReadOnlyList<(double Reach, double Price)> items)
    {
        var front = new List<int>();
        var least = double.PositiveInfinity;
        foreach (var (index, item) in items.Index().OrderByDescending(i => i.Item.Reach).ThenBy(i => i.Item.Price))
        {
            if (item.Price < least)
            {
                front.Add(index);
                least = item.Price;
            }
        }

        front.Reverse();
        return front;
    }
}
