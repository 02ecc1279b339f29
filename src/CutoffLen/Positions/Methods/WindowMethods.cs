namespace CutoffLen.Positions.Methods;

/// <summary>Keeps each query from keys before a first one; encodings stay.</summary>
public abstract class WindowMethod(PositionMethod inner) : PositionMethod
{
    /// <inheritdoc/>
    public override bool DependsOnLength => inner.DependsOnLength;

    /// <inheritdoc/>
    public override bool SameAt(int length, int other) => inner.SameAt(length, other);

    /// <inheritdoc/>
    public override Frequencies? RotaryFrequencies(int length) => inner.RotaryFrequencies(length);

    /// <inheritdoc/>
    public override IReadOnlyList<Band> Bands(TokenPositions positions)
    {
        var first = First(positions);
        return [.. inner.Bands(positions)
            .Select(band => band with { First = [.. band.First.Zip(first, Math.Max)] })
            // A band of distant pairs may have none left.
            .Where((band, number) => number == 0 || band.First.Zip(band.Last).Any(range => range.First <= range.Second))];
    }

    /// <summary>[T] the first key that each query may see.</summary>
    protected abstract int[] First(TokenPositions positions);
}

/// <summary>
/// Sliding window attention (Mistral 7B, arXiv 2310.06825): a query sees itself and the tokens before it, a window in all. It
/// belongs to the network (sliding_window, layer_types), so every position method is under it. Tokens are counted, not position
/// ids, as in transformers (masking_utils.sliding_window_overlay: key &gt; query - window).
/// </summary>
/// <param name="inner">The position method.</param>
/// <param name="window">In tokens.</param>
public sealed class SlidingWindowMethod(PositionMethod inner, int window) : WindowMethod(inner)
{
    /// <inheritdoc/>
    protected override int[] First(TokenPositions positions) => [.. Enumerable.Range(0, positions.Length).Select(token => token - window + 1)];
}
