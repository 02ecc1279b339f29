using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// Samples the position ids of a training row, so that short rows train long positions. It is independent of the position
/// method, which only receives ids. Each document of a row gets ids in 0 .. target - 1, in ascending order, from a random
/// generator keyed by (seed, step, sequence, document).
/// </summary>
public abstract class PositionIdSampler
{
    /// <summary>
    /// Whether a token of this text ends a unit of the text, after which positions are skipped; null for samplers that skip
    /// anywhere.
    /// </summary>
    public virtual Func<string, bool>? EndsUnit => null;

    /// <summary>The position ids of one row.</summary>
    /// <param name="plain">The packed row: ids of every document count from 0.</param>
    /// <param name="target">The length, in tokens, whose positions are trained; at least the row's.</param>
    /// <param name="draw">The key of the random generator.</param>
    /// <param name="breaks">
    /// Ascending row indices at which a unit of the text begins, see <see cref="EndsUnit"/>; empty when they are not known.
    /// </param>
    /// <param name="padding">Padding tokens at the row's end. They are documents of their own and keep their ids.</param>
    /// <exception cref="ArgumentException">The target is shorter than the row.</exception>
    public TokenPositions Sample(
        TokenPositions plain, int target, PositionDraw draw, ReadOnlySpan<int> breaks = default, int padding = 0)
    {
        if (target < plain.Length)
        {
            throw new ArgumentException($"a row of {plain.Length} tokens does not fit a target length of {target}", nameof(target));
        }

        var ids = (int[])plain.Ids.Clone();
        for (var d = 0; d < plain.DocumentStarts.Length && plain.DocumentStarts[d] < ids.Length - padding; d++)
        {
            var (start, end) = plain.Document(d);
            var random = new KeyedRandom(draw.Seed, "positions", draw.Step, draw.Sequence, d);
            var document = new DocumentInRow(start, plain.Length, target, Within(breaks, start, end));
            Sample(ids.AsSpan(start, end - start), document, ref random);
        }

        return new TokenPositions(ids, plain.DocumentStarts);
    }

    /// <summary>Changes the ids of one document, which are 0, 1, 2, ... before.</summary>
    protected abstract void Sample(Span<int> ids, DocumentInRow document, ref KeyedRandom random);

    /// <summary>Adds an offset to ids.</summary>
    private protected static void Shift(Span<int> ids, int offset)
    {
        foreach (ref var id in ids)
        {
            id += offset;
        }
    }

    /// <summary>The breaks after a document's first token and before its end.</summary>
    private static ReadOnlySpan<int> Within(ReadOnlySpan<int> breaks, int start, int end)
    {
        var first = FirstAtLeast(breaks, start + 1);
        return breaks[first..FirstAtLeast(breaks, end)];
    }

    private static int FirstAtLeast(ReadOnlySpan<int> ascending, int value)
    {
        var at = ascending.BinarySearch(value);
        return at < 0 ? ~at : at;
    }
}

/// <summary>The key of a row's random generator.</summary>
/// <param name="Seed">The run's seed.</param>
/// <param name="Step">The optimizer step.</param>
/// <param name="Sequence">The row within the step.</param>
public readonly record struct PositionDraw(long Seed, long Step, long Sequence);

/// <summary>A document, of a token or more, within its row.</summary>
/// <param name="start">Row index of its first token.</param>
/// <param name="rowLength">Tokens of the row.</param>
/// <param name="target">Ids stay below this.</param>
/// <param name="breaks">Row indices inside the document at which a unit of the text begins; none is its first token.</param>
public readonly ref struct DocumentInRow(int start, int rowLength, int target, ReadOnlySpan<int> breaks)
{
    /// <summary>Row index of the first token.</summary>
    public int Start { get; } = start;

    /// <summary>Tokens of the row.</summary>
    public int RowLength { get; } = rowLength;

    /// <summary>Ids stay below this.</summary>
    public int Target { get; } = target;

    /// <summary>Row indices inside the document at which a unit of the text begins.</summary>
    public ReadOnlySpan<int> Breaks { get; } = breaks;
}
