using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Self-Extend (arXiv 2401.01325): RoPE up to a distance of the window; beyond it positions are divided by the group and
/// rounded down, and queries moved on by window - floor(window / group) so that the two parts meet.
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
                (part, model, target) => Math.Ceiling(((target ?? 0) - WindowOf(part, model)) / (double)Math.Max(1, model.NativeLength - WindowOf(part, model)))),
            SpecKey.Tokens("window", 1, null, "distances below it are RoPE's own")
                .DefaultsTo("native length / 4", (_, model, _) => model.NativeLength / 4),
        ],
        (part, model) => new SelfExtendMethod(model, part.Tokens("group"), part.Tokens("window")))
    {
        AltersAttention = true,
        Vanilla = _ => "self-extend:group=1",
        Exceptions = new Dictionary<PositionTheory, string>
        {
            [PositionTheory.DistanceOnly] = "groups begin at fixed positions, so equal distances may span different numbers of groups",
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
        part.Has("window") ? part.Tokens("window") : Math.Max(1, model.NativeLength / 4);
}
