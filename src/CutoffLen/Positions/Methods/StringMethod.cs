using CutoffLen.Common;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.Methods;

/// <summary>
/// STRING, shifted rotary position embedding (arXiv 2410.18745): distances below the offset S are RoPE's own; a distance r of S or
/// more counts as r - S + W. The S - W largest distances, which training saw least, are then unused.
/// </summary>
/// <remarks>
/// The authors' code (HKUNLP/STRING, string_for_llama.py, commit 216cc2f) differs in two places. Its full forward scores the
/// pairs at distance S in both bands, its cached decoding in the far one only; here, as in the paper's matrix, they are far.
/// It also multiplies queries and keys by 0.1 ln(2) + 1, at every length; the paper's method does not, so
/// <c>attention_factor</c> is 1 unless given.
/// </remarks>
/// <param name="model">The model.</param>
/// <param name="shiftedOffset">S, in tokens.</param>
/// <param name="localWindow">W, in tokens, at most S.</param>
/// <param name="attentionFactor">Factor on queries and keys.</param>
public sealed class StringMethod(PositionModel model, int shiftedOffset, int localWindow, double attentionFactor)
    : NearFarMethod(new(model.InverseFrequencies(), attentionFactor), shiftedOffset)
{
    /// <summary>The registry's line.</summary>
    public static MethodEntry Entry { get; } = new(
        "string", "STRING: distances from an offset up are shifted down, onto well-trained ones.", "2410.18745",
        [
            SpecKey.Tokens("shifted_offset", 1, null, "S: distances below it are RoPE's own")
                .DefaultsTo("0.33 * target length", (_, _, target) => Math.Floor(0.33 * target)),
            SpecKey.Tokens("local_window", 1, null, "W: the distance that S counts as; 128 to 512 as published")
                .DefaultsTo("128, at most half the offset", (part, _, _) => Math.Min(128, part.Tokens("shifted_offset") / 2)),
            CommonKeys.AttentionFactorOfOne,
        ],
        Create)
    {
        AltersAttention = true,
        Vanilla = model => $"string:shifted_offset={model.NativeLength}",
    };

    /// <inheritdoc/>
    protected override (PositionEncoding Queries, PositionEncoding Keys) Far(TokenPositions positions, PositionEncoding own) =>
        (At(positions.Ids, id => id - Window + localWindow), own);

    private static StringMethod Create(SpecPart part, PositionModel model)
    {
        var (offset, window) = (part.Tokens("shifted_offset"), part.Tokens("local_window"));
        return window <= offset
            ? new StringMethod(model, offset, window, part.Number("attention_factor"))
            : throw new UserException($"'{part}': local_window ({window}) must be at most shifted_offset ({offset})");
    }
}
