using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// ALiBi (arXiv 2108.12409): no rotation; head h's scores fall by slope_h a token of distance. Slopes are the geometric
/// sequence 2^(-8/H), 2^(-16/H), ... for a power of two, and for other head counts every second slope of the next power is
/// added, as the authors' code does.
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
        Exceptions = new Dictionary<PositionTheory, string> { [PositionTheory.VanillaAtFactorOne] = "it does not rotate" },
    };

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => null;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions) =>
        [Band.Causal(new Unchanged(), positions) with { BiasSlopes = Slopes(model.Heads) }];

    /// <summary>[H] what scores lose a token of distance.</summary>
    public static double[] Slopes(int heads)
    {
        var power = 1 << (int)Math.Log2(heads);
        return [.. Sequence(power, 1, power), .. Sequence(2 * power, 2, heads - power)];
    }

    private static IEnumerable<double> Sequence(int power, int step, int count) =>
        Enumerable.Range(0, count).Select(h => Math.Pow(2, -8.0 * ((h * step) + 1) / power));
}
