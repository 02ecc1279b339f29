using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// ReRoPE: RoPE up to a distance of the window, the window's own distance beyond (Su Jianlin, kexue.fm/archives/9708). The
/// author's patch also scales queries by log-n: the modifier <c>logn</c>.
/// </summary>
public sealed class ReRopeMethod(PositionModel model, int window) : PositionMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies());

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "rerope", "ReRoPE: every distance beyond the window counts as the window.", "https://kexue.fm/archives/9708", [Window],
        (part, model) => new ReRopeMethod(model, part.Tokens("window")))
    {
        AltersAttention = true,
        Vanilla = model => $"rerope:window={model.NativeLength}",
    };

    /// <summary>512 for a model of 4096, as in the author's patches.</summary>
    internal static SpecKey Window => SpecKey
        .Tokens("window", 1, null, "distances below it are RoPE's own")
        .DefaultsTo("native length / 8", (_, model, _) => model.NativeLength / 8);

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => frequencies;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var near = NearBand(positions, frequencies, window);
        var distant = new double[positions.Length];
        Array.Fill(distant, window);
        return [near, FarBand(positions, near, Rotation.Of(distant, frequencies), new Unchanged())];
    }

    /// <summary>RoPE for the keys at a distance below the window.</summary>
    internal static Band NearBand(TokenPositions positions, Frequencies frequencies, int window)
    {
        var within = positions.WithinDocument();
        return Band.Causal(Rotation.Of(positions, frequencies), positions) with
        {
            First = positions.FirstAtLeast(token => within[token] - window + 1),
        };
    }

    /// <summary>The keys before those of the near band.</summary>
    internal static Band FarBand(TokenPositions positions, Band near, PositionEncoding queries, PositionEncoding keys) =>
        new(queries, keys, positions.StartOfDocument(), Array.ConvertAll(near.First, token => token - 1));
}
