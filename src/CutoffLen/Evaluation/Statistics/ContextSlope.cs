namespace CutoffLen.Evaluation.Statistics;

/// <summary>An effective context and the cutoff that the model was trained at.</summary>
/// <param name="Cutoff">Tokens.</param>
/// <param name="Limit">Where the context ends.</param>
public sealed record CutoffLimit(int Cutoff, EffectiveContextLimit Limit);

/// <summary>
/// How the effective context grows with the cutoff: the exponent b of context = a * cutoff^b, by least squares of the
/// logarithms. At 1 a model trained twice as long reaches twice as far; at 0 the cutoff does not matter.
/// </summary>
/// <param name="Exponent">b.</param>
/// <param name="AtOne">a, tokens at a cutoff of one token.</param>
/// <param name="Interval">95% interval of b, drawn over texts, the same texts for all points; null where there are no draws.</param>
/// <param name="Points">Limits that were fitted.</param>
/// <param name="Open">Limits that the sweep did not reach, and that are left out.</param>
public sealed record ContextSlope(double Exponent, double AtOne, Interval? Interval, int Points, int Open)
{
    /// <summary>The context that the fit gives for a cutoff, tokens.</summary>
    public double At(double cutoff) => AtOne * Math.Pow(cutoff, Exponent);

    /// <summary>The fit, or null with limits at fewer than two cutoffs, or where more limits lie beyond the sweep than in it.</summary>
    public static ContextSlope? Of(IReadOnlyList<CutoffLimit> limits)
    {
        var found = limits.Where(limit => limit.Limit.Tokens is > 0).ToList();
        if (found.Select(limit => limit.Cutoff).Distinct().Count() < 2 || 2 * found.Count < limits.Count)
        {
            return null;
        }

        var (exponent, atOne) = Fit(found, limit => limit.Limit.Tokens!.Value);
        var draws = found.Min(limit => limit.Limit.Draws.Count);
        // A draw without a limit is worth the sweep's length, the least that it can be.
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
