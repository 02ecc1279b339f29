namespace CutoffLen.Positions;

/// <summary>
/// The contract of a position method: for the tokens of a row, how does attention see their positions? Methods are
/// pure functions of the positions: no state is kept between calls, so a length-dependent method is exact at every
/// length.
/// </summary>
public abstract class PositionMethod
{
    /// <summary>Whether a token's encoding depends on how many tokens follow it (dynamic NTK, LongRoPE, ...).</summary>
    public virtual bool DependsOnLength => false;

    /// <summary>The bands of a row; no pair (i, j) of two documents, or with j after i, is in any of them.</summary>
    public abstract IReadOnlyList<Band> Bands(TokenPositions positions);
}

/// <summary>A method of one causal band of plain rotations: it only answers which frequencies.</summary>
public abstract class FrequencyMethod : PositionMethod
{
    /// <summary>Inverse frequencies and attention scale for a row of <paramref name="length"/> tokens.</summary>
    public abstract Frequencies Frequencies(int length);

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions) =>
        [Band.Causal(Rotation.Of(positions, Frequencies(positions.Extent)), positions)];
}

/// <summary>What a position method needs to know of the model it is for.</summary>
/// <param name="HeadDim">D, even.</param>
/// <param name="Base">rope_theta.</param>
/// <param name="NativeLength">Tokens the model was trained at (original_max_position_embeddings where given).</param>
/// <param name="Heads">H, query heads.</param>
/// <param name="KeyValueHeads">K, key/value heads.</param>
public sealed record PositionModel(int HeadDim, double Base, int NativeLength, int Heads, int KeyValueHeads)
{
    /// <summary>Vanilla RoPE's inverse frequencies base^(-2n/D), arXiv 2104.09864 section 3.2.2.</summary>
    public double[] InverseFrequencies() =>
        [.. Enumerable.Range(0, HeadDim / 2).Select(n => Math.Pow(Base, -2.0 * n / HeadDim))];
}
