using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// DPE, dimension-wise positional embeddings manipulation (arXiv 2504.18857): RoPE for distances below the window. Beyond it each
/// group of pairs has its own scale factor s: positions are floor(position / s), those of queries shifted by window - window / s.
/// With one factor for all groups it is Self-Extend.
/// </summary>
/// <remarks>
/// This is the authors' code (LuLuLuyi/DPE, dpe_for_llama.py, commit a93eaf8) with <c>select_topk_dim=False</c>, its README's
/// setting. The paper scales only the pairs of each head that contribute most to its scores; that selection is not built. The
/// factors of published models are in config/dpe_config.yaml there.
/// </remarks>
/// <param name="model">The model.</param>
/// <param name="scaleFactors">[groups] the factor of each group of pairs, fastest pairs first; their number divides D/2.</param>
/// <param name="window">Distances below it are RoPE's own.</param>
public sealed class DpeMethod(PositionModel model, double[] scaleFactors, int window) : NearFarMethod(new(model.InverseFrequencies()), window)
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dpe", "DPE: groups of pairs, each with its own Self-Extend beyond the window.", "2504.18857",
        [
            SpecKey.Numbers("scale_factors", 1, CommonKeys.LargestFactor, "a factor for each group of pairs, the fastest first").Required(),
            SpecKey.Tokens("local_window", 1, null, "distances below it are RoPE's own")
                .DefaultsTo("1024, at most native length / 4", (_, model, _) => Math.Min(1024, model.NativeLength / 4)),
        ],
        Create)
    {
        AltersAttention = true,
        Example = _ => "dpe:scale_factors=2/8/4/1",
        Vanilla = _ => "dpe:scale_factors=1",
        Exceptions = SelfExtendMethod.Entry.Exceptions,
    };

    /// <inheritdoc/>
    protected override (PositionEncoding Queries, PositionEncoding Keys) Far(TokenPositions positions, PositionEncoding own)
    {
        var within = positions.WithinDocument();
        return (
            Rotated(within, (id, factor) => Math.Floor(id / factor) + Window - (Window / factor)),
            Rotated(within, (id, factor) => Math.Floor(id / factor)));
    }

    /// <summary>Every pair of every token rotated by the position that its group's factor gives.</summary>
    private Rotation Rotated(int[] ids, Func<int, double, double> position)
    {
        var frequencies = Frequencies.InverseFrequencies;
        var pairsOfGroup = frequencies.Length / scaleFactors.Length;
        Frequencies Angles(int token) => new([.. frequencies.Select((frequency, n) => position(ids[token], scaleFactors[n / pairsOfGroup]) * frequency)]);
        return Rotation.Of(Enumerable.Repeat(1.0, ids.Length).ToArray(), frequencies.Length, Angles);
    }

    private static DpeMethod Create(SpecPart part, PositionModel model)
    {
        var (factors, pairs) = (part.NumbersOrNull("scale_factors")!, model.HeadDim / 2);
        return pairs % factors.Length == 0
            ? new DpeMethod(model, factors, part.Tokens("local_window"))
            : throw new UserException($"dpe's scale_factors must have a number of factors that divides {pairs}, the pairs of a head of dimension {model.HeadDim}, not {factors.Length}");
    }
}
