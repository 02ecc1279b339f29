using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// p-RoPE: only the fastest floor(p D/2) pairs rotate, the slowest 1-p carry meaning without position (Round and Round We Go!,
/// arXiv 2410.06205 section 6).
/// </summary>
public sealed class PRopeMethod(PositionModel model, double fraction) : FrequencyMethod
{
    private readonly Frequencies frequencies = new([.. model.InverseFrequencies()
        .Select((frequency, n) => n < Math.Floor(fraction * model.HeadDim / 2) ? frequency : 0)]);

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "p-rope", "p-RoPE: the slowest pairs of each head do not rotate.", "2410.06205",
        [SpecKey.Number("fraction", 0, 1, 0.75, "share of the pairs, the fastest, that rotate")],
        (part, model) => new PRopeMethod(model, part.Number("fraction")))
    {
        Vanilla = _ => "p-rope:fraction=1",
    };

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => frequencies;
}
