using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// ReRoPE: RoPE for distances below the window; every larger distance counts as the window (Su Jianlin,
/// kexue.fm/archives/9708). The author's patch also scales queries by log-n: the modifier <c>logn</c>.
/// </summary>
public sealed class ReRopeMethod(PositionModel model, int window) : NearFarMethod(new(model.InverseFrequencies()), window)
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "rerope", "ReRoPE: every distance beyond the window counts as the window.", "https://kexue.fm/archives/9708", [WindowKey],
        (part, model) => new ReRopeMethod(model, part.Tokens("window")))
    {
        AltersAttention = true,
        Vanilla = model => $"rerope:window={model.NativeLength}",
    };

    /// <summary>512 for a model of 4096, as in the author's patches.</summary>
    internal static SpecKey WindowKey => SpecKey
        .Tokens("window", 1, null, "distances below it are RoPE's own")
        .DefaultsTo("native length / 8", (_, model, _) => model.NativeLength / 8);

    /// <inheritdoc/>
    protected override (PositionEncoding Queries, PositionEncoding Keys) Far(TokenPositions positions, PositionEncoding own) =>
        (At(positions.Ids, _ => Window), new Unchanged());
}

/// <summary>
/// Leaky ReRoPE: RoPE for distances below the window; a larger distance r counts as (r + window (factor - 1)) / factor, which
/// grows by 1/factor a token (Su Jianlin, kexue.fm/archives/9708; bojone/rerope). Log-n is the modifier <c>logn</c>.
/// </summary>
public sealed class LeakyReRopeMethod(PositionModel model, int window, double factor)
    : NearFarMethod(new(model.InverseFrequencies()), window)
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "leaky-rerope", "Leaky ReRoPE: distances beyond the window grow by 1/factor a token.", "https://kexue.fm/archives/9708",
        [
            ReRopeMethod.WindowKey,
            // With this default the longest distance of the target counts as the native length.
            SpecKey.Number("factor", 1, CommonKeys.LargestFactor, null, "how much slower distances grow beyond the window")
                .DefaultsTo("(target - window) / (native length - window), at least 1", (part, model, target) =>
                    (target - part.Tokens("window")) / (double)Math.Max(1, model.NativeLength - part.Tokens("window"))),
        ],
        (part, model) => new LeakyReRopeMethod(model, part.Tokens("window"), part.Number("factor"))) { AltersAttention = true };

    /// <inheritdoc/>
    protected override (PositionEncoding Queries, PositionEncoding Keys) Far(TokenPositions positions, PositionEncoding own) =>
        (At(positions.Ids, id => (id + (Window * (factor - 1))) / factor), At(positions.Ids, id => id / factor));
}

/// <summary>
/// Self-Extend (arXiv 2401.01325): RoPE for distances below the window. Beyond it positions are floor(position / group).
/// Queries are shifted by window - floor(window / group), so that the two parts meet.
/// </summary>
public sealed class SelfExtendMethod(PositionModel model, int group, int window)
    : NearFarMethod(new(model.InverseFrequencies()), window)
{
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
    protected override (PositionEncoding Queries, PositionEncoding Keys) Far(TokenPositions positions, PositionEncoding own)
    {
        var within = positions.WithinDocument();
        return (At(within, id => (id / group) + Window - (Window / group)), At(within, id => id / group));
    }

    private static int WindowOf(SpecPart part, PositionModel model) =>
        part.TokensOrNull("window") ?? Math.Max(1, model.NativeLength / 4);
}
