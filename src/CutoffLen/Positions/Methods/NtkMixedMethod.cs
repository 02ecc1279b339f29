using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// NTK-RoPE-mixed: pair n's frequency times exp(-a (n+1)^b) with a = ln(factor) / (D/2)^b (Su Jianlin, kexue.fm/archives/9706).
/// The post pairs it with a log-n query scale: the modifier <c>logn</c>.
/// </summary>
public sealed class NtkMixedMethod(PositionModel model, double factor, double exponent) : FrequencyMethod
{
    private readonly Frequencies frequencies = new(Mixed(model, factor, exponent));

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "ntk-mixed", "NTK-RoPE-mixed: factor spread over the pairs as exp(-a (n+1)^b).", "https://kexue.fm/archives/9706",
        [CommonKeys.Factor, SpecKey.Number("b", 0.01, 1, 0.75, "1 spreads evenly, less gives more to fast pairs")],
        (part, model) => new NtkMixedMethod(model, part.Number("factor"), part.Number("b")));

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;

    private static double[] Mixed(PositionModel model, double factor, double exponent)
    {
        var a = Math.Log(factor) / Math.Pow(model.HeadDim / 2.0, exponent);
        return [.. model.InverseFrequencies().Select((frequency, n) => frequency * Math.Exp(-a * Math.Pow(n + 1, exponent)))];
    }
}
