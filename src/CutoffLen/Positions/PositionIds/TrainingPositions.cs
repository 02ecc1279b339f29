using CutoffLen.Common;

namespace CutoffLen.Positions.PositionIds;

/// <summary>
/// Which position ids the tokens of a training row get, so that short rows train long positions. Orthogonal to the
/// position method, which only sees ids. Every document of a row is placed on its own, in 0 .. target - 1, by numbers
/// drawn from (seed, step, sequence, document) alone; tokens keep their order and documents their borders.
/// </summary>
public abstract class TrainingPositions
{
    /// <summary>The ids of one row.</summary>
    /// <param name="plain">The row as packed: every document counted from 0.</param>
    /// <param name="target">The length, in tokens, whose positions are to be trained; at least the row's.</param>
    /// <param name="draw">What the random numbers depend on.</param>
    /// <param name="breaks">
    /// Ascending row indices at which a unit of the text begins (a line, a turn), for methods that skip there; empty
    /// when they are not known.
    /// </param>
    /// <param name="padding">Tokens at the row's end that are padding, documents of their own, and stay as they are.</param>
    /// <exception cref="ArgumentException">The target is shorter than the row.</exception>
    public TokenPositions Place(
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
            var document = new DocumentPlace(start, plain.Length, target, Within(breaks, start, end));
            Place(ids.AsSpan(start, end - start), document, ref random);
        }

        return new TokenPositions(ids, plain.DocumentStarts);
    }

    /// <summary>Changes the ids of one document, which come as 0, 1, 2, ...</summary>
    protected abstract void Place(Span<int> ids, DocumentPlace document, ref KeyedRandom random);

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

/// <summary>What the random numbers of a row depend on.</summary>
/// <param name="Seed">The run's seed.</param>
/// <param name="Step">The optimizer step.</param>
/// <param name="Sequence">The row within the step.</param>
public readonly record struct PositionDraw(long Seed, long Step, long Sequence);

/// <summary>A document's place in its row.</summary>
/// <param name="start">Row index of its first token.</param>
/// <param name="rowLength">Tokens of the row.</param>
/// <param name="target">Ids stay below this.</param>
/// <param name="breaks">Row indices inside the document at which a unit of the text begins; none is its first token.</param>
public readonly ref struct DocumentPlace(int start, int rowLength, int target, ReadOnlySpan<int> breaks)
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
