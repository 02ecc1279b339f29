using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Leaky ReRoPE: RoPE up to a distance of the window; beyond it distances grow by 1/factor a token, (r + window (factor - 1)) /
/// factor (Su Jianlin, kexue.fm/archives/9708; bojone/rerope). Log-n is the modifier <c>logn</c>.
/// </summary>
public sealed class LeakyReRopeMethod(PositionModel model, int window, double factor) : PositionMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies());

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "leaky-rerope", "Leaky ReRoPE: distances beyond the window grow by 1/factor a token.", "https://kexue.fm/archives/9708",
        [
            ReRopeMethod.Window,
            // The longest distance then comes out at the native length.
            SpecKey.Number("factor", 1, CommonKeys.LargestFactor, null, "how much slower distances grow beyond the window")
                .DefaultsTo("(target - window) / (native length - window), at least 1", (part, model, target) =>
                    ((target ?? 0) - part.Tokens("window")) / (double)Math.Max(1, model.NativeLength - part.Tokens("window"))),
        ],
        (part, model) => new LeakyReRopeMethod(model, part.Tokens("window"), part.Number("factor"))) { AltersAttention = true };

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => frequencies;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var near = ReRopeMethod.NearBand(positions, frequencies, window);
        var queries = Rotation.Of(Array.ConvertAll(positions.Ids, id => (id + (window * (factor - 1))) / factor), frequencies);
        var keys = Rotation.Of(Array.ConvertAll(positions.Ids, id => id / factor), frequencies);
        return [near, ReRopeMethod.FarBand(positions, near, queries, keys)];
    }
}
