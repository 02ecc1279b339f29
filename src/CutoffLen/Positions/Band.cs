using CutoffLen.Common;

namespace CutoffLen.Positions;

/// <summary>
/// A part of causal attention: the encodings of queries and keys, and the pairs (i, j) scored with them. Query i sees the
/// keys <c>First[i] .. Last[i]</c>, both included, and none when First[i] &gt; Last[i]. The bands of a plan never share a
/// pair. Softmax runs over all bands together.
/// </summary>
/// <param name="Queries">The encoding of the queries, by token index.</param>
/// <param name="Keys">The encoding of the keys, by token index.</param>
/// <param name="First">[T] the first key index that each query sees.</param>
/// <param name="Last">[T] the last key index that each query sees, never above the query's own.</param>
/// <param name="BiasSlopes">
/// [H] or null: <c>slope[h] * (position[j] - position[i])</c> is added to the score (ALiBi, arXiv 2108.12409).
/// </param>
public sealed record Band(
    PositionEncoding Queries, PositionEncoding Keys, int[] First, int[] Last, double[]? BiasSlopes = null)
{
    /// <summary>Whether one rotation serves queries and keys.</summary>
    public bool SharesRotation => Queries is Rotation && ReferenceEquals(Queries, Keys);

    /// <summary>The band of plain causal attention inside each document.</summary>
    public static Band Causal(PositionEncoding encoding, TokenPositions positions) =>
        new(encoding, encoding, positions.StartOfDocument(), [.. Enumerable.Range(0, positions.Length)]);
}

/// <summary>How positions change the T queries or keys of a row: one of the four records below.</summary>
public abstract record PositionEncoding;

/// <summary>No change (ALiBi).</summary>
public sealed record Unchanged : PositionEncoding;

/// <summary>
/// Rotary table. Elements n and n + D/2 of a vector are a pair (Hugging Face's layout), rotated by the angle of this cosine
/// and sine. Magnitudes (YaRN's attention scale, xPos's zeta, the log-n query scale) are multiplied into both.
/// </summary>
/// <param name="Cos">[T, D/2], row-major.</param>
/// <param name="Sin">[T, D/2], row-major.</param>
/// <param name="HalfDim">D/2.</param>
public sealed record Rotation(float[] Cos, float[] Sin, int HalfDim) : PositionEncoding
{
    /// <summary>
    /// cos and sin of position times frequency, computed in float64, times the magnitude, rounded once to float32.
    /// </summary>
    /// <param name="positions">[T] positions in tokens, whole or not.</param>
    /// <param name="frequencies">Inverse frequencies [D/2] and the attention scale.</param>
    /// <param name="magnitude">Factor for (token index, pair index), null for 1.</param>
    public static Rotation Of(ReadOnlySpan<double> positions, Frequencies frequencies, Func<int, int, double>? magnitude = null) =>
        Of(positions, frequencies.InverseFrequencies.Length, _ => frequencies, magnitude);

    /// <summary>The rotation of a row whose tokens have different frequencies.</summary>
    /// <param name="positions">[T] positions in tokens, whole or not.</param>
    /// <param name="half">D/2.</param>
    /// <param name="frequenciesAt">Inverse frequencies [D/2] and attention scale of the token of an index.</param>
    /// <param name="magnitude">Factor for (token index, pair index), null for 1.</param>
    /// <exception cref="UserException">More tokens than a table holds.</exception>
    public static Rotation Of(
        ReadOnlySpan<double> positions, int half, Func<int, Frequencies> frequenciesAt, Func<int, int, double>? magnitude = null)
    {
        if ((long)positions.Length * half > Array.MaxLength)
        {
            throw new UserException($"a sequence of {positions.Length} tokens is too long; with heads of {2 * half} elements the most is {Array.MaxLength / half}");
        }

        var cos = new float[positions.Length * half];
        var sin = new float[positions.Length * half];
        for (int t = 0, at = 0; t < positions.Length; t++)
        {
            var frequencies = frequenciesAt(t);
            for (var n = 0; n < half; n++, at++)
            {
                var scale = frequencies.AttentionScale * (magnitude?.Invoke(t, n) ?? 1.0);
                var (s, c) = Math.SinCos(positions[t] * frequencies.InverseFrequencies[n]);
                cos[at] = (float)(c * scale);
                sin[at] = (float)(s * scale);
            }
        }

        return new Rotation(cos, sin, half);
    }

    /// <summary>The rotation at integer positions.</summary>
    public static Rotation Of(TokenPositions positions, Frequencies frequencies, Func<int, int, double>? magnitude = null) =>
        Of(Array.ConvertAll(positions.Ids, id => (double)id), frequencies, magnitude);
}

/// <summary>
/// A reordering of each vector's elements (PermuteFormer, arXiv 2109.02377): element d of the result at token t in
/// key/value head k is element <c>Index[k, t, d]</c> of the vector, times <c>Scale[t]</c>. Query heads use the
/// order of the key/value head they belong to.
/// </summary>
/// <param name="Index">[K, T, D], row-major.</param>
/// <param name="Scale">[K, T] factor, or null for 1.</param>
/// <param name="Heads">K.</param>
/// <param name="HeadDim">D.</param>
public sealed record Reordering(int[] Index, float[]? Scale, int Heads, int HeadDim) : PositionEncoding;

/// <summary>
/// Two rotations, of which each query head takes some pairs from the first and the others from the second (DPE, arXiv 2504.18857). Keys
/// are then encoded for each query head, not once for all that share a key/value head.
/// </summary>
/// <param name="Chosen">The table of the chosen pairs.</param>
/// <param name="Others">The table of the others, as wide.</param>
/// <param name="IsChosen">[H, D/2], row-major.</param>
public sealed record RotationByHead(Rotation Chosen, Rotation Others, bool[] IsChosen) : PositionEncoding;

/// <summary>The frequencies of a rotation.</summary>
/// <param name="InverseFrequencies">[D/2] radians per token.</param>
/// <param name="AttentionScale">
/// Factor on rotated queries and on rotated keys, so that scores are multiplied by its square (YaRN's
/// <c>attention_factor</c>, arXiv 2309.00071).
/// </param>
public sealed record Frequencies(double[] InverseFrequencies, double AttentionScale = 1.0);
