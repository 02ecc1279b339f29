using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Blockwise causal attention (A Length-Extrapolatable Transformer, arXiv 2212.10554 section 3.3; torchscale): positions are
/// cut into half blocks, and a query sees its own and the one before.
/// </summary>
public sealed class BlockwiseCausalMethod(PositionMethod inner, int window) : PositionMethod
{
    /// <summary>The registry's line.</summary>
    public static ModifierEntry Entry { get; } = new(
        "bca", "Blockwise causal attention: a query sees its own and the previous half of a window.", "2212.10554",
        [
            SpecKey.Tokens("window", 2, null, "tokens of a block, two halves; even")
                .DefaultsTo("the native length, made even", (_, model, _) => model.NativeLength / 2 * 2),
        ],
        (part, _, inner) => part.Tokens("window") % 2 == 0
            ? new BlockwiseCausalMethod(inner, part.Tokens("window"))
            : throw new UserException($"'{part}': the window must be even, since it is cut into halves"))
    {
        AltersAttention = true,
        Exceptions = new Dictionary<PositionTheory, string>
        {
            [PositionTheory.CoversEveryPair] = "keeping distant pairs out is its purpose",
        },
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => inner.DependsOnLength;

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => inner.RotaryFrequencies(length);

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var half = window / 2;
        var within = positions.WithinDocument();
        var first = positions.FirstAtLeast(token => ((within[token] / half) - 1) * half);
        return [.. inner.Bands(positions)
            .Select(band => band with { First = [.. band.First.Zip(first, Math.Max)] })
            // Bands of distant pairs only have nothing left.
            .Where((band, number) => number == 0 || band.First.Zip(band.Last).Any(range => range.First <= range.Second))];
    }
}
