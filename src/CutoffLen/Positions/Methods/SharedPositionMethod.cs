using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// RoPE at positions that tokens share, as LongEmbed gives them to embedding models (arXiv 2404.12096, section 4.1): grouped,
/// floor(position / group), or recurrent, position mod the original length. A decoder then cannot tell the order of such tokens, so
/// these are baselines: Self-Extend keeps the order of near tokens. LongEmbed's parallel context windows average the embeddings of
/// windows that do not see each other; a decoder has no such average, and its disjoint windows are the protocol
/// <c>lmeval-disjoint</c>.
/// </summary>
/// <param name="model">The model.</param>
/// <param name="shared">The position that a position within a document becomes.</param>
public sealed class SharedPositionMethod(PositionModel model, Func<int, int> shared) : PositionMethod
{
    private readonly Frequencies frequencies = new(model.InverseFrequencies());

    /// <summary>The registry's line of grouped positions.</summary>
    public static MethodEntry GroupedEntry { get; } = new(
        "grouped", "Grouped positions: neighbouring tokens share a position.", "2404.12096",
        [SpecKey.Tokens("group", 1, null, "tokens that share a position")
            .DefaultsTo("target / native length, rounded up", (_, model, target) => Math.Ceiling(target / (double)model.NativeLength))],
        (part, model) => new SharedPositionMethod(model, Grouped(part)))
    {
        Vanilla = _ => "grouped:group=1",
        Exceptions = NotByDistance("tokens of a group share a position"),
    };

    /// <summary>The registry's line of recurrent positions.</summary>
    public static MethodEntry RecurrentEntry { get; } = new(
        "recurrent", "Recurrent positions: they begin again at 0 after the original length.", "2404.12096", [CommonKeys.Original],
        (part, model) => new SharedPositionMethod(model, Recurrent(part)))
    {
        Vanilla = _ => "recurrent",
        Exceptions = NotByDistance("positions begin again at fixed tokens"),
    };

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => frequencies;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions) =>
        [Band.Causal(Rotation.Of(Array.ConvertAll(positions.WithinDocument(), id => (double)shared(id)), frequencies), positions)];

    private static Func<int, int> Grouped(SpecPart part)
    {
        var group = part.Tokens("group");
        return id => id / group;
    }

    private static Func<int, int> Recurrent(SpecPart part)
    {
        var original = part.Tokens("original");
        return id => id % original;
    }

    private static Dictionary<PositionProperty, string> NotByDistance(string reason) => new() { [PositionProperty.DistanceOnly] = reason };
}
