namespace CutoffLen.Evaluation.Measures;

/// <summary>
/// Attention resolution (A Length-Extrapolatable Transformer, arXiv 2212.10554): how well attention scores tell distances
/// apart. With s[n] the expected score, before softmax, of a query and the key n tokens before it (equation 11: the mean
/// over the queries), equation 3 is
/// <c>R = sum_i e^s[i] (e^s[i] - e^s[i+1]) / (sum_i e^s[i])^2</c>.
/// </summary>
/// <remarks>
/// The sums run over the distances 0 .. N - 1 where s[N] is the last one known. With p = softmax(s), R is the sum of
/// p[i] (p[i] - p[i+1]): at most 1, reached when all of the mass is at one distance. The paper's table 3 holds values up
/// to 1.08, so its figures must carry a factor that the text does not give; compare resolutions of this program with each
/// other only.
/// </remarks>
public static class AttentionResolution
{
    /// <summary>R of expected scores by distance.</summary>
    /// <param name="scores">s[0] .. s[N], at least two.</param>
    public static double Of(ReadOnlySpan<double> scores)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(scores.Length, 2);
        // R does not change when a constant is added to every score; without the largest, e^s cannot overflow.
        var largest = double.NegativeInfinity;
        foreach (var score in scores)
        {
            largest = Math.Max(largest, score);
        }

        double numerator = 0, mass = 0;
        for (var i = 0; i < scores.Length - 1; i++)
        {
            var here = Math.Exp(scores[i] - largest);
            numerator += here * (here - Math.Exp(scores[i + 1] - largest));
            mass += here;
        }

        return numerator / (mass * mass);
    }
}
