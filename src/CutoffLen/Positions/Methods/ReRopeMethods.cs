using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// ReRoPE: RoPE for distances below the window; every larger distance counts as the window (Su Jianlin,
/// kexue.fm/archives/9708). The author's patch also scales queries by log-n: the modifier <c>logn</c>.
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

/// <summary>
/// Leaky ReRoPE: RoPE for distances below the window; a larger distance r counts as (r + window (factor - 1)) / factor, which
/// grows by 1/factor a token (Su Jianlin, kexue.fm/archives/9708; bojone/rerope). Log-n is the modifier <c>logn</c>.
/// </summary>
public sealed class LeakyReRopeMethod(PositionModel model, int window, double factor) : PositionMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies());

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "leaky-rerope", "Leaky ReRoPE: distances beyond the window grow by 1/factor a token.", "https://kexue.fm/archives/9708",
        [
            ReRopeMethod.Window,
            // With this default the longest distance of the target counts as the native length.
            SpecKey.Number("factor", 1, CommonKeys.LargestFactor, null, "how much slower distances grow beyond the window")
                .DefaultsTo("(target - window) / (native length - window), at least 1", (part, model, target) =>
                    (target - part.Tokens("window")) / (double)Math.Max(1, model.NativeLength - part.Tokens("window"))),
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

/// <summary>
/// Self-Extend (arXiv 2401.01325): RoPE for distances below the window. Beyond it positions are floor(position / group).
/// Queries are shifted by window - floor(window / group), so that the two parts meet.
/// </summary>
public sealed class SelfExtendMethod(PositionModel model, int group, int window) : PositionMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies());

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "self-extend", "Self-Extend: groups of tokens share a position beyond the window.", "2401.01325",
        [
            SpecKey.Tokens("group", 1, null, "tokens that share a position beyond the window").DefaultsTo(
                "the smallest that fits target into the native length",
                (part, model, target) => Math.Ceiling((target - WindowOf(part, model)) / (double)Math.Max(1, model.NativeLength - WindowOf(part, model)))),
            SpecKey.Tokens("window", 1, null, "distances below it are RoPE's own")
                .DefaultsTo("native length / 4", (_, model, _) => model.NativeLength / 4),
        ],
        (part, model) => new SelfExtendMethod(model, part.Tokens("group"), part.Tokens("window")))
    {
        AltersAttention = true,
        Vanilla = _ => "self-extend:group=1",
        Exceptions = new Dictionary<PositionProperty, string>
        {
            [PositionProperty.DistanceOnly] = "groups begin at fixed positions, so equal distances may span different numbers of groups",
        },
    };

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => frequencies;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var near = ReRopeMethod.NearBand(positions, frequencies, window);
        var groups = Array.ConvertAll(positions.WithinDocument(), position => (double)(position / group));
        var queries = Rotation.Of(Array.ConvertAll(groups, position => position + window - (window / group)), frequencies);
        return [near, ReRopeMethod.FarBand(positions, near, queries, Rotation.Of(groups, frequencies))];
    }

    private static int WindowOf(SpecPart part, PositionModel model) =>
        part.TokensOrNull("window") ?? Math.Max(1, model.NativeLength / 4);
}
