using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// ALiBi (arXiv 2108.12409): no rotation; head h's scores fall by slope_h per token of distance. For a power of two the slopes
/// are 2^(-8/H), 2^(-16/H), ... Other head counts add every second slope of the next power of two, as in the authors' code.
/// </summary>
public sealed class AlibiMethod(PositionModel model) : PositionMethod
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "alibi", "ALiBi: no rotation, scores fall linearly with distance.", "2108.12409", [],
        (_, model) => new AlibiMethod(model))
    {
        AltersAttention = true,
        Vanilla = null,
        Exceptions = new Dictionary<PositionProperty, string> { [PositionProperty.VanillaAtFactorOne] = "it does not rotate" },
    };

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => null;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions) =>
        [Band.Causal(new Unchanged(), positions) with { BiasSlopes = Slopes(model.Heads) }];

    /// <summary>[H] what scores lose per token of distance.</summary>
    public static double[] Slopes(int heads)
    {
        var power = 1 << (int)Math.Log2(heads);
        return [.. Sequence(power, 1, power), .. Sequence(2 * power, 2, heads - power)];
    }

    private static IEnumerable<double> Sequence(int power, int step, int count) =>
        Enumerable.Range(0, count).Select(h => Math.Pow(2, -8.0 * ((h * step) + 1) / power));
}
