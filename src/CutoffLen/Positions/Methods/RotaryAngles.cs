namespace CutoffLen.Positions.Methods;

/// <summary>
/// The distribution of the rotary angles of a pair over the positions of a context, and how far an extension disturbs it
/// (Extending Context Window from a Distributional Perspective, arXiv 2410.01490, section 3). Angles are float32, as in the
/// authors' code (1180301012/DPRoPE): of two close disturbances, rounding decides.
/// </summary>
public static class RotaryAngles
{
    /// <summary>b, the intervals that a turn is divided into; the paper's.</summary>
    public const int Intervals = 360;

    // float16's smallest normal number: what every interval holds before anything is counted, in the authors' code.
    private const double CountOfNone = 6.103515625e-05;

    /// <summary>[b] the share of the positions m = 0 .. L - 1 whose angle m * frequency, modulo 2pi, lies in each interval.</summary>
    /// <param name="frequency">Radians per token.</param>
    /// <param name="length">L in tokens.</param>
    public static double[] Distribution(double frequency, int length)
    {
        var counts = new double[Intervals];
        Array.Fill(counts, CountOfNone);
        const float Turn = 2 * MathF.PI;
        const float PerRadian = (float)(Intervals / (2 * Math.PI));
        for (var m = 0; m < length; m++)
        {
            counts[Math.Min((int)(PerRadian * ((float)frequency * m % Turn)), Intervals - 1)]++;
        }

        return Array.ConvertAll(counts, count => count / length);
    }

    /// <summary>
    /// [D/2] the disturbance of each pair, in nats: the Kullback-Leibler divergence of its angles in the original context from
    /// those in the longer one. The paper's equation 6 has the two the other way round. This way, as the authors' code has it,
    /// gives the figures of the paper's table 3, averaged over the pairs.
    /// </summary>
    /// <param name="extended">[D/2] frequencies in the longer context.</param>
    /// <param name="length">Its tokens.</param>
    /// <param name="original">[D/2] frequencies of the pretraining.</param>
    /// <param name="originalLength">Its tokens.</param>
    public static double[] Disturbance(IReadOnlyList<double> extended, int length, IReadOnlyList<double> original, int originalLength) =>
        [.. extended.Zip(original, (now, before) => Divergence(Distribution(before, originalLength), Distribution(now, length)))];

    private static double Divergence(double[] p, double[] q) => p.Zip(q, (before, now) => before * Math.Log(before / now)).Sum();
}
