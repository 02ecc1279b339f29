using System.Runtime.CompilerServices;
using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// DPE, dimension-wise positional embeddings manipulation (arXiv 2504.18857): RoPE for distances below the window. Beyond it each
/// group of pairs has its own scale factor s: positions are floor(position / s), those of queries shifted by window - window / s.
/// With one factor for all groups it is Self-Extend. With topk only the pairs of each query head that contribute most to its scores
/// are scaled; the others are RoPE's own at every distance.
/// </summary>
/// <remarks>
/// This is the authors' code (LuLuLuyi/DPE, dpe_for_llama.py, commit a93eaf8); topk is its <c>select_topk_dim</c>, off unless given as
/// there. The factors of published models are in config/dpe_config.yaml there. Its decoding floors window / s, and its prefill does
/// not; here both are as the prefill. Each layer with topk has tables of its own. The numbers of their functions are in tests/golden/dpe.json.
/// </remarks>
/// <param name="model">The model; topk needs its <see cref="PositionModel.PairRanks"/>.</param>
/// <param name="scaleFactors">[groups] the factor of each group of pairs, fastest pairs first; their number divides D/2.</param>
/// <param name="window">Distances below it are RoPE's own.</param>
/// <param name="topk">Pairs of a head that are scaled; null for all.</param>
public sealed class DpeMethod(PositionModel model, double[] scaleFactors, int window, int? topk = null) : NearFarMethod(new(model.InverseFrequencies()), window)
{
    // Of rows that a layer was asked for; all layers have the same.
    private ConditionalWeakTable<TokenPositions, Tuple<Rotation, Rotation>> scaled = [];
    private bool[]? isChosen; // [H, D/2] in the layer that this is of

    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "dpe", "DPE: groups of pairs, each with its own Self-Extend beyond the window.", "2504.18857",
        [
            SpecKey.Numbers("scale_factors", 1, CommonKeys.LargestFactor, "a factor for each group of pairs, the fastest first").Required(),
            SpecKey.Tokens("local_window", 1, null, "distances below it are RoPE's own")
                .DefaultsTo("1024, at most native length / 4", (_, model, _) => Math.Min(1024, model.NativeLength / 4)),
            SpecKey.Tokens("topk", 1, null, "pairs of each head that are scaled, those that 'cutoff rope pairs' found to contribute most; all when not given"),
        ],
        Create)
    {
        AltersAttention = true,
        Example = _ => "dpe:scale_factors=2/8/4/1",
        Vanilla = _ => "dpe:scale_factors=1",
        Exceptions = SelfExtendMethod.Entry.Exceptions,
    };

    /// <inheritdoc/>
    public override bool DiffersByLayer => topk is not null;

    /// <inheritdoc/>
    public override PositionMethod OfLayer(int layer)
    {
        if (topk is null)
        {
            return this;
        }

        var size = model.Heads * model.HeadDim / 2;
        return new DpeMethod(model, scaleFactors, Window, topk)
        {
            scaled = scaled,
            isChosen = [.. model.PairRanks.AsSpan(layer * size, size).ToArray().Select(rank => rank < topk)],
        };
    }

    /// <inheritdoc/>
    protected override (PositionEncoding Queries, PositionEncoding Keys) Far(TokenPositions positions, PositionEncoding own)
    {
        var (queries, keys) = scaled.GetValue(positions, Scaled);
        return isChosen is null ? (queries, keys) : (new RotationByHead(queries, (Rotation)own, isChosen), new RotationByHead(keys, (Rotation)own, isChosen));
    }

    private Tuple<Rotation, Rotation> Scaled(TokenPositions positions)
    {
        var within = positions.WithinDocument();
        return new(
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
        var (factors, pairs, topk) = (part.NumbersOrNull("scale_factors")!, model.HeadDim / 2, part.TokensOrNull("topk"));
        return pairs % factors.Length != 0
            ? throw new UserException($"dpe's scale_factors must have a number of factors that divides {pairs}, the pairs of a head of dimension {model.HeadDim}, not {factors.Length}")
            : topk > pairs ? throw new UserException($"dpe's topk must be at most {pairs}, the pairs of a head of dimension {model.HeadDim}, not {topk}")
            : topk is not null && model.PairRanks is null ? throw new UserException("dpe's topk needs a checkpoint with the order of the pairs of each head; 'cutoff rope pairs' makes one, which --model names")
            : new DpeMethod(model, factors, part.Tokens("local_window"), topk);
    }
}
