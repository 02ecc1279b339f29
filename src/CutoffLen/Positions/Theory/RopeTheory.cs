using System.Numerics;

namespace CutoffLen.Positions.Theory;

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
    /// The length, in tokens, up to which a model with that critical dimension extrapolates after fine-tuning with other
    /// frequencies: that in which the first pair beyond it turns once, for a base b 2pi b^(d/D) (arXiv 2310.05209). When
    /// every dimension is trained nothing bounds it: infinity.
    /// </summary>
    /// <param name="frequencies">Of the fine-tuning.</param>
    /// <param name="criticalDimension">Of the training before, see <see cref="CriticalDimension"/>.</param>
    public static double ExtrapolationBound(Frequencies frequencies, int criticalDimension) =>
        criticalDimension / 2 >= frequencies.InverseFrequencies.Length
            ? double.PositiveInfinity
            : 2 * Math.PI / frequencies.InverseFrequencies[criticalDimension / 2];

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
    /// equation 11). The condition holds and fails again as the base grows, so bases are tried upwards in steps of 0.1%, and
    /// ranges narrower than that are missed; the paper's own table was made with wider steps and is up to 1.6 times this.
    /// </summary>
    /// <param name="headDim">D.</param>
    /// <param name="context">Tokens.</param>
    /// <returns>The base, within 0.1%.</returns>
    public static double LeastBase(int headDim, int context)
    {
        // For very many pairs it would be context / 0.62; with fewer the sum is less smooth and the base higher.
        var violation = 1;
        for (var rotaryBase = Math.Max(2, context / 1.25); ; rotaryBase *= 1.001)
        {
            var inverse = new PositionModel(headDim, rotaryBase, context, 1, 1).InverseFrequencies();
            // Dips move outwards slowly as the base grows, so the next one mostly lies close behind the last.
            if (FirstViolation(inverse, violation, context) is { } beyond)
            {
                violation = beyond;
            }
            else if (FirstViolation(inverse, 1, violation) is { } before)
            {
                violation = before;
            }
            else
            {
                return rotaryBase;
            }
        }
    }

    /// <summary>
    /// The first distance, in tokens, at which equal vectors are no longer expected to attract each other more than random
    /// ones (arXiv 2405.14591, equation 11): the context that a set of frequencies supports. Null when there is none up to
    /// <paramref name="most"/>.
    /// </summary>
    public static int? SupportedContext(Frequencies frequencies, int most) => FirstViolation(frequencies.InverseFrequencies, 1, most + 1);

    /// <summary>The first distance from one to below another at which the sum is negative, or null.</summary>
    private static int? FirstViolation(double[] inverse, int from, int to)
    {
        // Every pair's angle is moved on by a rotation a token; 1e6 of them keep ten digits.
        var width = Vector<double>.Count;
        var padded = (inverse.Length + width - 1) / width * width;
        var (cos, sin, turnCos, turnSin) = (new double[padded], new double[padded], new double[padded], new double[padded]);
        for (var n = 0; n < inverse.Length; n++)
        {
            (sin[n], cos[n]) = Math.SinCos(from * inverse[n]);
            (turnSin[n], turnCos[n]) = Math.SinCos(inverse[n]);
        }

        for (var distance = from; distance < to; distance++)
        {
            var sum = Vector<double>.Zero;
            for (var n = 0; n < padded; n += width)
            {
                var (x, y) = (new Vector<double>(cos, n), new Vector<double>(sin, n));
                var (c, s) = (new Vector<double>(turnCos, n), new Vector<double>(turnSin, n));
                sum += x;
                ((x * c) - (y * s)).CopyTo(cos, n);
                ((x * s) + (y * c)).CopyTo(sin, n);
            }

            if (Vector.Sum(sum) < 0)
            {
                return distance;
            }
        }

        return null;
    }
}
