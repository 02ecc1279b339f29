using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// Resonance: every wavelength rounded to a whole number of tokens, so that positions beyond the training length repeat
/// angles that were trained (arXiv 2403.00071).
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
        Exceptions = new Dictionary<PositionTheory, string> { [PositionTheory.VanillaAtFactorOne] = "it rounds every wavelength" },
    };

    /// <inheritdoc/>
    public override bool DependsOnLength => inner.DependsOnLength;

    /// <inheritdoc/>
    public override (int Tokens, Frequencies Frequencies)? Head => inner.Head is { } head ? (head.Tokens, Rounded(head.Frequencies)) : null;

    /// <inheritdoc/>
    public override Frequencies Frequencies(int length) => Rounded(inner.Frequencies(length));

    private static Frequencies Rounded(Frequencies frequencies) => frequencies with
    {
        // A pair that does not turn has no wavelength and stays as it is; no wavelength is shorter than a token.
        InverseFrequencies = Array.ConvertAll(
            frequencies.InverseFrequencies, frequency => frequency == 0 ? 0 : 2 * Math.PI / Math.Max(1, Math.Round(2 * Math.PI / frequency))),
    };
}
