using System.Numerics;

namespace CutoffLen.Positions.Theory;

/// <summary>Theoretical bounds of RoPE's context, for comparison with measurements.</summary>
public static class RopeTheory
{
    /// <summary>
    /// The critical dimension: dimensions of a head whose pairs complete a turn within the training length. It is
    /// 2 ceil(D/2 log_b(T/2pi)), between 0 and D (Scaling Laws of RoPE-based Extrapolation, arXiv 2310.05209).
    /// </summary>
    /// <param name="headDim">D.</param>
    /// <param name="rotaryBase">b, of the training.</param>
    /// <param name="trainingLength">T in tokens.</param>
    public static int CriticalDimension(int headDim, double rotaryBase, double trainingLength) =>
        Math.Clamp(2 * (int)Math.Ceiling(headDim / 2.0 * Math.Log(trainingLength / (2 * Math.PI)) / Math.Log(rotaryBase)), 0, headDim);

    /// <summary>
    /// The extrapolation bound, in tokens, of a model with a critical dimension d after fine-tuning with other frequencies: the
    /// length in which the first pair beyond d turns once, for a base b 2pi b^(d/D) (arXiv 2310.05209). It is infinite when
    /// every dimension is trained.
    /// </summary>
    /// <param name="frequencies">Of the fine-tuning.</param>
    /// <param name="criticalDimension">Of the pretraining, see <see cref="CriticalDimension"/>.</param>
    public static double ExtrapolationBound(Frequencies frequencies, int criticalDimension) =>
        criticalDimension / 2 >= frequencies.InverseFrequencies.Length
            ? double.PositiveInfinity
            : 2 * Math.PI / frequencies.InverseFrequencies[criticalDimension / 2];

    /// <summary>
    /// The critical base b^(log_{T/2pi}(L/2pi)): with it the critical dimension of the training completes exactly one turn within
    /// the fine-tuning length. Below it every trained dimension stays trained (arXiv 2310.05209).
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
    /// The smallest base whose sum_n cos(m b^(-2n/D)) is at least 0 for all distances m below a context length: equal vectors
    /// are then expected to attract each other more than random ones (Base of RoPE Bounds Context Length, arXiv 2405.14591,
    /// equation 11). The condition alternates as the base grows. Bases are therefore tried upwards in steps of 0.1%, and
    /// narrower ranges are missed. The paper's table used wider steps and is up to 1.6 times as high.
    /// </summary>
    /// <param name="headDim">D.</param>
    /// <param name="context">Tokens.</param>
    /// <returns>The base, within 0.1%.</returns>
    public static double LeastBase(int headDim, int context)
    {
        // The limit for many pairs is context / 0.62; with fewer the sum is less smooth and the base higher.
        var violation = 1;
        for (var rotaryBase = Math.Max(2, context / 1.25); ; rotaryBase *= 1.001)
        {
            var inverse = new PositionModel(headDim, rotaryBase, context, 1, 1).InverseFrequencies();
            // Dips move outwards slowly as the base grows, so the next one is mostly close behind the last.
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
    /// The context, in tokens, that a set of frequencies supports: the first distance at which equal vectors are not expected to
    /// attract each other more than random ones (arXiv 2405.14591, equation 11). Null when there is none up to
    /// <paramref name="most"/>.
    /// </summary>
    public static int? SupportedContext(Frequencies frequencies, int most) => FirstViolation(frequencies.InverseFrequencies, 1, most + 1);

    /// <summary>The first distance from one to below another at which the sum is negative, or null.</summary>
    private static int? FirstViolation(double[] inverse, int from, int to)
    {
        // Each pair is rotated by its angle once per token; after 1e6 rotations ten digits are exact.
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
