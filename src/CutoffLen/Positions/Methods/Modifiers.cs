using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Resonance RoPE: every wavelength is rounded to a whole number of tokens (arXiv 2403.00071). Positions beyond the training
/// length then repeat angles that were trained.
/// </summary>
public sealed class ResonanceMethod(FrequencyMethod inner) : FrequencyMethod
{
    /// <summary>The registry's line.</summary>
    public static ModifierEntry Entry { get; } = new(
        "resonance", "Rounds every wavelength to a whole number of tokens (frequency methods only).", "2403.00071", [],
        (part, _, inner) => inner is FrequencyMethod method
            ? new ResonanceMethod(method)
            : throw new UserException($"the modifier {part.Name} works on methods that only change frequencies, not on this one"))
    {
        Exceptions = new Dictionary<PositionProperty, string> { [PositionProperty.VanillaAtFactorOne] = "it rounds every wavelength" },
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => inner.DependsOnLength;

    /// <inheritdoc/>
    public override (int Tokens, Frequencies Frequencies)? StartTokens =>
        inner.StartTokens is { } start ? (start.Tokens, Rounded(start.Frequencies)) : null;

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => Rounded(inner.Frequencies(length));

    private static Frequencies Rounded(Frequencies frequencies) => frequencies with
    {
        // A frequency of 0 has no wavelength and is kept; the shortest wavelength is one token.
        InverseFrequencies = Array.ConvertAll(
            frequencies.InverseFrequencies, frequency => frequency == 0 ? 0 : 2 * Math.PI / Math.Max(1, Math.Round(2 * Math.PI / frequency))),
    };
}

/// <summary>
/// Blockwise causal attention (A Length-Extrapolatable Transformer, arXiv 2212.10554 section 3.3; torchscale). Positions are
/// cut into blocks of half a window, and a query sees its own block and the previous one.
/// </summary>
public sealed class BlockwiseCausalMethod(PositionMethod inner, int window) : WindowMethod(inner)
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
        Exceptions = new Dictionary<PositionProperty, string>
        {
            [PositionProperty.CoversEveryPair] = "keeping distant pairs out is its purpose",
        },
    };

    /// <inheritdoc/>
    protected override int[] First(TokenPositions positions)
    {
        var half = window / 2;
        var within = positions.WithinDocument();
        return positions.FirstAtLeast(token => ((within[token] / half) - 1) * half);
    }
}
