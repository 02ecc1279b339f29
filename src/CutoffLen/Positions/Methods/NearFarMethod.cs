namespace CutoffLen.Positions.Methods;

/// <summary>A method of two bands: RoPE for distances below a window, other positions for all larger distances.</summary>
/// <param name="frequencies">The frequencies of both bands.</param>
/// <param name="window">Distances below it are RoPE's own.</param>
public abstract class NearFarMethod(Frequencies frequencies, int window) : PositionMethod
{
    /// <summary>Of both bands.</summary>
    protected Frequencies Frequencies { get; } = frequencies;

    /// <summary>Distances below it are RoPE's own.</summary>
    protected int Window { get; } = window;

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => Frequencies;

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var within = positions.WithinDocument();
        var near = Band.Causal(Rotation.Of(positions, Frequencies), positions) with
        {
            First = positions.FirstAtLeast(token => within[token] - Window + 1),
        };
        var (queries, keys) = Far(positions, near.Keys);
        return [near, new Band(queries, keys, positions.StartOfDocument(), Array.ConvertAll(near.First, token => token - 1))];
    }

    /// <summary>The encodings of queries and keys for pairs at the window's distance and beyond.</summary>
    /// <param name="positions">The row.</param>
    /// <param name="own">Every token rotated at its own position.</param>
    protected abstract (PositionEncoding Queries, PositionEncoding Keys) Far(TokenPositions positions, PositionEncoding own);

    /// <summary>Every token rotated at the position that a function gives for its position id.</summary>
    private protected Rotation At(int[] ids, Func<int, double> position) =>
        Rotation.Of(Array.ConvertAll(ids, id => position(id)), Frequencies);
}
