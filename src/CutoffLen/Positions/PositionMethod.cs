using CutoffLen.Positions.Methods;

namespace CutoffLen.Positions;

/// <summary>
/// The contract of a position method: for the tokens of a row, how does attention see their positions? Methods are
/// pure functions of the positions: no state is kept between calls, so a length-dependent method is exact at every
/// length. Every document of a row is encoded as it would be alone.
/// </summary>
public abstract class PositionMethod
{
    /// <summary>Whether a token's encoding depends on how many tokens follow it (dynamic NTK, LongRoPE, ...).</summary>
    public virtual bool DependsOnLength => false;

    /// <summary>The bands of a row; no pair (i, j) of two documents, or with j after i, is in any of them.</summary>
    public abstract IReadOnlyList<Band> Bands(TokenPositions positions);

    /// <summary>
    /// The frequencies that its rotations use in a document of <paramref name="length"/> tokens; null where nothing is
    /// rotated.
    /// </summary>
    public abstract Frequencies? RotaryFrequencies(int length);

    /// <summary>Whether the tokens of a document are encoded alike when it has one length or another.</summary>
    public bool SameAt(int length, int other)
    {
        if (!DependsOnLength || length == other)
        {
            return true;
        }

        var (one, two) = (RotaryFrequencies(length), RotaryFrequencies(other));
        return one is null || two is null
            ? one == two
            : one.AttentionScale == two.AttentionScale && one.InverseFrequencies.SequenceEqual(two.InverseFrequencies);
    }
}

/// <summary>A method of one causal band of plain rotations: it only answers which frequencies.</summary>
public abstract class FrequencyMethod : PositionMethod
{
    /// <summary>Inverse frequencies and attention scale for a document of <paramref name="length"/> tokens.</summary>
    public abstract Frequencies Frequencies(int length);

    /// <summary>
    /// The first tokens of a document that have frequencies of their own, and which (LongRoPE's n-hat, arXiv 2402.13753);
    /// null for none.
    /// </summary>
    public virtual (int Tokens, Frequencies Frequencies)? Head => null;

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => Frequencies(length);

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions) => [Band.Causal(Rotate(positions), positions)];

    private Rotation Rotate(TokenPositions positions)
    {
        if (Head is null && (!DependsOnLength || positions.DocumentStarts.Length == 1))
        {
            return Rotation.Of(positions, Frequencies(positions.Length == 0 ? 0 : positions.Span(0)));
        }

        var within = positions.WithinDocument();
        var frequencies = new Frequencies[positions.Length];
        for (var document = 0; document < positions.DocumentStarts.Length; document++)
        {
            var (start, end) = positions.Document(document);
            Array.Fill(frequencies, Frequencies(positions.Span(document)), start, end - start);
        }

        return Rotation.Of(
            Array.ConvertAll(positions.Ids, id => (double)id),
            Frequencies(0).InverseFrequencies.Length,
            token => Head is { } head && within[token] < head.Tokens ? head.Frequencies : frequencies[token]);
    }
}

/// <summary>What a position method needs to know of the model it is for.</summary>
/// <param name="HeadDim">D, even.</param>
/// <param name="Base">rope_theta.</param>
/// <param name="NativeLength">Tokens the model was trained at (original_max_position_embeddings where given).</param>
/// <param name="Heads">H, query heads.</param>
/// <param name="KeyValueHeads">K, key/value heads.</param>
public sealed record PositionModel(int HeadDim, double Base, int NativeLength, int Heads, int KeyValueHeads)
{
    /// <summary>The weights of CLEX's equation, for checkpoints that have them.</summary>
    public ClexWeights? Clex { get; init; }

    /// <summary>Vanilla RoPE's inverse frequencies base^(-2n/D), arXiv 2104.09864 section 3.2.2.</summary>
    public double[] InverseFrequencies() => InverseFrequencies(Base);

    /// <summary>Vanilla RoPE's inverse frequencies of another base.</summary>
    public double[] InverseFrequencies(double rotaryBase) =>
        [.. Enumerable.Range(0, HeadDim / 2).Select(n => Math.Pow(rotaryBase, -2.0 * n / HeadDim))];
}
