namespace CutoffLen.Positions.Methods;

/// <summary>
/// The ramp of YaRN and NTK-by-parts over the pairs n of a head: which share of them is to be interpolated. All published
/// code makes it linear in n between the pairs that turn <c>fast</c> and <c>slow</c> times within the original length.
/// </summary>
internal static class RotationRamp
{
    /// <summary>[D/2] 0 for pairs that turn at least <paramref name="fast"/> times, 1 for those that turn at most <paramref name="slow"/> times.</summary>
    /// <param name="model">Head dimension and base.</param>
    /// <param name="original">Tokens in which turns are counted.</param>
    /// <param name="fast">Turns at the lower end of the ramp.</param>
    /// <param name="slow">Turns at its upper end.</param>
    /// <param name="truncate">Whether the two ends are moved out to whole pairs.</param>
    public static double[] Of(PositionModel model, int original, double fast, double slow, bool truncate = true)
    {
        var (low, high) = (PairOf(model, original, fast), PairOf(model, original, slow));
        (low, high) = truncate ? (Math.Floor(low), Math.Ceiling(high)) : (low, high);
        (low, high) = (Math.Max(low, 0), Math.Min(high, model.HeadDim - 1));
        // The authors' way around a ramp without width.
        high = low == high ? high + 0.001 : high;
        return [.. Enumerable.Range(0, model.HeadDim / 2).Select(n => Math.Clamp((n - low) / (high - low), 0, 1))];
    }

    /// <summary>From one value to another by a share, 0 to 1; exactly the value where both are the same.</summary>
    public static double Between(double from, double to, double share) => from + ((to - from) * share);

    /// <summary>The pair (not whole) that turns so many times within the original length.</summary>
    private static double PairOf(PositionModel model, int original, double turns) =>
        model.HeadDim * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(model.Base));
}
