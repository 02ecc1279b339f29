using CutoffLen.Common;

namespace CutoffLen.Positions;

/// <summary>
/// The contract of a position method: how attention sees the positions of a row's tokens. Methods are pure functions of the
/// positions without state, so a length-dependent method is exact at every length. Each document of a row is encoded as if
/// it were alone.
/// </summary>
public abstract class PositionMethod
{
    /// <summary>Whether a token's encoding depends on how many tokens follow it (dynamic NTK, LongRoPE, ...).</summary>
    public virtual bool DependsOnLength => false;

    /// <summary>Whether layers have methods of their own, <see cref="OfLayer"/>.</summary>
    public virtual bool DiffersByLayer => false;

    /// <summary>The method in a layer of the model: itself, unless it differs by layer.</summary>
    public virtual PositionMethod OfLayer(int layer) => this;

    /// <summary>The bands of a row; none contains a pair (i, j) of two documents or with j after i.</summary>
    public abstract IReadOnlyList<Band> Bands(TokenPositions positions);

    /// <summary>
    /// The frequencies of its rotations in a document of <paramref name="length"/> tokens; null where nothing is rotated.
    /// </summary>
    public abstract Frequencies? RotaryFrequencies(int length);

    /// <summary>Whether the tokens of a document have the same encodings at two lengths of it.</summary>
    public virtual bool SameAt(int length, int other)
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

/// <summary>A method of one causal band of plain rotations: it only defines the frequencies.</summary>
public abstract class FrequencyMethod : PositionMethod
{
    /// <summary>Inverse frequencies and attention scale for a document of <paramref name="length"/> tokens.</summary>
    public abstract Frequencies Frequencies(int length);

    /// <summary>
    /// The number of start tokens of a document with other frequencies, and these frequencies (LongRoPE's n-hat, arXiv
    /// 2402.13753); null for none.
    /// </summary>
    public virtual (int Tokens, Frequencies Frequencies)? StartTokens => null;

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => Frequencies(length);

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions) => [Band.Causal(Rotate(positions), positions)];

    private Rotation Rotate(TokenPositions positions)
    {
        if (StartTokens is null && (!DependsOnLength || positions.DocumentStarts.Length == 1))
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
            token => StartTokens is { } start && within[token] < start.Tokens ? start.Frequencies : frequencies[token]);
    }
}

/// <summary>The properties of a model that position methods use.</summary>
/// <param name="HeadDim">Numbers of a head that methods encode, even: D, or the first of them (partial_rotary_factor).</param>
/// <param name="Base">rope_theta.</param>
/// <param name="NativeLength">Tokens the model was trained at (original_max_position_embeddings where given).</param>
/// <param name="Heads">H, query heads.</param>
/// <param name="KeyValueHeads">K, key/value heads.</param>
public sealed record PositionModel(int HeadDim, double Base, int NativeLength, int Heads, int KeyValueHeads)
{
    /// <summary>Decoder layers; 0 where they are not known, and then all layers have one method.</summary>
    public int Layers { get; init; }

    /// <summary>Numbers of a head after <see cref="HeadDim"/>, which nothing encodes.</summary>
    public int UnencodedDim { get; init; }

    /// <summary>The sliding window of each layer, in tokens, null for a layer without; null where no layer has one.</summary>
    public IReadOnlyList<int?>? Windows { get; init; }

    /// <summary>The weights of CLEX's equation, in checkpoints trained with it; null in all others.</summary>
    public ClexWeights? Clex { get; init; }

    /// <summary>
    /// [L, H, D/2] the order of the pairs of each layer and query head by their part in its scores, 0 for the largest (DPE); null in
    /// checkpoints without.
    /// </summary>
    public int[]? PairRanks { get; init; }

    /// <summary>Vanilla RoPE's inverse frequencies base^(-2n/D), arXiv 2104.09864 section 3.2.2.</summary>
    public double[] InverseFrequencies() => InverseFrequencies(Base);

    /// <summary>Vanilla RoPE's inverse frequencies of another base.</summary>
    public double[] InverseFrequencies(double rotaryBase) =>
        [.. Enumerable.Range(0, HeadDim / 2).Select(n => Math.Pow(rotaryBase, -2.0 * n / HeadDim))];
}

/// <summary>The learned part of CLEX's equation.</summary>
/// <param name="Up">[D/2, width], row-major (ode_up_proj).</param>
/// <param name="Down">[width, D/2], row-major (ode_down_proj).</param>
/// <param name="Width">Hidden units.</param>
public sealed record ClexWeights(float[] Up, float[] Down, int Width)
{
    /// <summary>
    /// New weights, always the same, as clex_layer.py draws them: Up by kaiming_uniform_ with a = sqrt(5), which is uniform within
    /// 1 / sqrt(width), and Down zero, so that the learned part begins at zero.
    /// </summary>
    public static ClexWeights New(int headDim, int width)
    {
        var random = new KeyedRandom(0, "clex equation");
        var up = new float[headDim / 2 * width];
        for (var n = 0; n < up.Length; n++)
        {
            up[n] = (float)(((2 * random.NextUnit()) - 1) / Math.Sqrt(width));
        }

        return new ClexWeights(up, new float[up.Length], width);
    }
}
