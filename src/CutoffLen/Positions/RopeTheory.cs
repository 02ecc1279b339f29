namespace CutoffLen.Positions;

/// <summary>What theory says of RoPE's reach, to be set beside measurements.</summary>
public static class RopeTheory
{
    /// <summary>
    /// Dimensions of a head whose pairs complete a turn within the training length, counted as pairs of two and rounded up:
    /// 2 ceil(D/2 log_b(T/2pi)) (Scaling Laws of RoPE-based Extrapolation, arXiv 2310.05209), between 0 and D.
    /// </summary>
    /// <param name="headDim">D.</param>
    /// <param name="rotaryBase">b, of the training.</param>
    /// <param name="trainingLength">T in tokens.</param>
    public static int CriticalDimension(int headDim, double rotaryBase, int trainingLength) =>
        Math.Clamp(2 * (int)Math.Ceiling(headDim / 2.0 * Math.Log(trainingLength / (2 * Math.PI)) / Math.Log(rotaryBase)), 0, headDim);

    /// <summary>
    /// The length, in tokens, up to which a model with that critical dimension extrapolates after fine-tuning with another
    /// base: the period of the critical dimension, 2pi b^(d/D) (arXiv 2310.05209). When every dimension is
    /// trained nothing bounds it: infinity.
    /// </summary>
    /// <param name="headDim">D.</param>
    /// <param name="criticalDimension">Of the training before, see <see cref="CriticalDimension"/>.</param>
    /// <param name="rotaryBase">b, of the fine-tuning.</param>
    public static double ExtrapolationBound(int headDim, int criticalDimension, double rotaryBase) =>
        criticalDimension >= headDim ? double.PositiveInfinity : 2 * Math.PI * Math.Pow(rotaryBase, criticalDimension / (double)headDim);

    /// <summary>
    /// The base at which the critical dimension of a training just completes a turn within a fine-tuning length: below it
    /// every trained dimension stays trained (arXiv 2310.05209): b^(log_{T/2pi}(L/2pi)).
    /// </summary>
    /// <param name="rotaryBase">b, of the training.</param>
    /// <param name="trainingLength">T in tokens, more than 2pi.</param>
    /// <param name="tuningLength">L in tokens.</param>
    public static double CriticalBase(double rotaryBase, int trainingLength, int tuningLength) =>
        Math.Pow(rotaryBase, Math.Log(tuningLength / (2 * Math.PI)) / Math.Log(trainingLength / (2 * Math.PI)));

    /// <summary>Tokens in which each pair turns once, 2pi / frequency; infinity for a pair that does not turn.</summary>
    public static double[] Wavelengths(Frequencies frequencies) =>
        Array.ConvertAll(frequencies.InverseFrequencies, frequency => 2 * Math.PI / frequency);

    /// <summary>Share of the pairs, 0 to 1, that do not complete a turn within a length in tokens.</summary>
    public static double ShareWithoutFullTurn(Frequencies frequencies, int length) =>
        Wavelengths(frequencies).Average(wavelength => wavelength > length ? 1.0 : 0.0);

    /// <summary>
    /// The smallest base with which equal vectors are expected to attract each other more than random ones at every distance
    /// below a context length: sum_n cos(m b^(-2n/D)) at least 0 for all m below it (Base of RoPE Bounds Context Length, arXiv 2405.14591,
    /// equation 11). The condition does not stay fulfilled as the base grows, so bases are tried upwards in steps of 0.1%;
    /// the paper's own table was made with wider steps and is up to a third above this.
    /// </summary>
    /// <param name="headDim">D.</param>
    /// <param name="context">Tokens.</param>
    /// <returns>The base, within 0.1%.</returns>
    public static double LeastBase(int headDim, int context)
    {
        // For very many pairs it would be context / 0.62; with fewer the sum is less smooth and the base higher.
        var rotaryBase = Math.Max(2, context / 1.25);
        for (var violation = 1; ; rotaryBase *= 1.001)
        {
            var inverse = new PositionModel(headDim, rotaryBase, context, 1, 1).InverseFrequencies();
            if (violation >= context || !IsNegative(inverse, violation))
            {
                if (FirstViolation(inverse, context, violation) is not { } found)
                {
                    return rotaryBase;
                }

                violation = found;
            }
        }
    }

    /// <summary>A distance below the context at which the sum is negative, sought first near one that was for a smaller base.</summary>
    private static int? FirstViolation(double[] inverse, int context, int near)
    {
        // The dips move outwards slowly as the base grows, so the last one found rarely lies far away.
        for (var step = 1; step <= 64; step++)
        {
            if (near + step < context && IsNegative(inverse, near + step))
            {
                return near + step;
            }
        }

        for (var distance = 1; distance < context; distance++)
        {
            if (IsNegative(inverse, distance))
            {
                return distance;
            }
        }

        return null;
    }

    private static bool IsNegative(double[] inverse, int distance)
    {
        var sum = 0.0;
        foreach (var frequency in inverse)
        {
            sum += Math.Cos(distance * frequency);
        }

        return sum < 0;
    }
}
