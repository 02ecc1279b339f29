using System.Globalization;

namespace CutoffLen.Positions.Theory;

/// <summary>
/// The extended scaling law of RoPE-based extrapolation (arXiv 2310.05209, theorem 3): the context of a model that was
/// pretrained with one base and length, and fine-tuned with another base at another length.
/// </summary>
/// <param name="Base">beta, of the fine-tuning.</param>
/// <param name="TuningLength">T_tune in tokens.</param>
/// <param name="CriticalDimension">d_extra of the pretraining (equation 13).</param>
/// <param name="CriticalBase">beta_0 (equation 16a).</param>
/// <param name="TunedCriticalDimension">
/// d'_extra (equation 16c) up to the critical base, at most D; above it no further dimension is trained, and it is d_extra.
/// </param>
/// <param name="Bound">
/// T_extra in tokens: 2pi beta^(d_extra/D) above the critical base (equation 16b), else T_tune.
/// </param>
/// <param name="SmallBases">
/// beta_1, beta_2, beta_3 (equation 16d). Below them the slowest dimension turns by pi/2, pi and 2pi within T_tune.
/// </param>
public sealed record ScalingLaw(
    double Base, int TuningLength, int CriticalDimension, double CriticalBase, int TunedCriticalDimension, double Bound, IReadOnlyList<double> SmallBases)
{
    /// <summary>How many of <see cref="SmallBases"/> the base is below.</summary>
    public int SmallBasesAbove => SmallBases.Count(small => Base < small);

    /// <summary>
    /// Whether the law only gives a lower bound: below beta_1 a model goes on beyond T_tune, and the law does not say how far.
    /// </summary>
    public bool IsLowerBound => SmallBasesAbove > 0;

    /// <summary>The law for a base. Null where the theorem says nothing: T_tune below T_train, or T_train below a turn of 2pi tokens.</summary>
    /// <param name="pretrained">Head dimension, base and native length of the pretraining.</param>
    /// <param name="rotaryBase">beta, of the fine-tuning.</param>
    /// <param name="tuningLength">T_tune in tokens; the native length for a model that is not fine-tuned.</param>
    public static ScalingLaw? Of(PositionModel pretrained, double rotaryBase, int tuningLength)
    {
        var (headDim, native) = (pretrained.HeadDim, pretrained.NativeLength);
        if (native <= 2 * Math.PI || tuningLength < native)
        {
            return null;
        }

        var critical = RopeTheory.CriticalDimension(headDim, pretrained.Base, native);
        var criticalBase = RopeTheory.CriticalBase(pretrained.Base, native, tuningLength);
        var isAbove = rotaryBase > criticalBase;
        return new ScalingLaw(
            rotaryBase, tuningLength, critical, criticalBase,
            isAbove ? critical : RopeTheory.CriticalDimension(headDim, rotaryBase, tuningLength),
            isAbove ? 2 * Math.PI * Math.Pow(rotaryBase, critical / (double)headDim) : tuningLength,
            [2 * tuningLength / Math.PI, tuningLength / Math.PI, tuningLength / (2 * Math.PI)]);
    }

    /// <summary>The law for frequencies; also null where they are not those of a base, to which alone the theorem applies.</summary>
    public static ScalingLaw? Of(PositionModel pretrained, Frequencies frequencies, int tuningLength) =>
        BaseOf(frequencies) is { } rotaryBase ? Of(pretrained, rotaryBase, tuningLength) : null;

    /// <summary>The base b of frequencies b^(-2n/D) without attention scale; null for all others.</summary>
    internal static double? BaseOf(Frequencies frequencies)
    {
        var inverse = frequencies.InverseFrequencies;
        var logBase = -Math.Log(inverse[^1]) * inverse.Length / (inverse.Length - 1);
        var isGeometric = double.IsFinite(logBase) && logBase > 0
            && inverse.Index().All(pair => Math.Abs(Math.Log(pair.Item) + (logBase * pair.Index / inverse.Length)) < 1e-9);
        // Twelve digits: the rounding of a power must not lift 10000 above a critical base of 10000.
        return isGeometric && frequencies.AttentionScale == 1
            ? double.Parse(Math.Exp(logBase).ToString("G12", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture)
            : null;
    }
}
