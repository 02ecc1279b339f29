namespace CutoffLen.Distributed;

/// <summary>
/// The part of every row that a rank has under context parallelism. A row of T tokens is cut into 2P chunks, and rank r has the
/// chunks r and 2P - 1 - r: an early one with few keys before it, a late one with many. So all ranks have the same causal work
/// (Llama 3, arXiv 2407.21783, section 3.3.2).
/// </summary>
/// <param name="Rank">r, from 0.</param>
/// <param name="Ranks">P.</param>
public sealed record ContextChunks(int Rank, int Ranks)
{
    /// <summary>2P, chunks of a row.</summary>
    public int Count => 2 * Ranks;

    /// <summary>The chunks of this rank, in the row's order.</summary>
    public (int Early, int Late) Own => (Rank, Count - 1 - Rank);

    /// <summary>The chunks of a group's rank.</summary>
    public static ContextChunks Of(ICollectives group) => new(group.Rank, group.Size);

    /// <summary>The rank that has a chunk, and whether it is the first (0) or the second (1) of that rank's.</summary>
    public (int Rank, int Place) OwnerOf(int chunk) => chunk < Ranks ? (chunk, 0) : (Count - 1 - chunk, 1);

    /// <summary>The length of a row with the padding that makes it a multiple of 2P.</summary>
    public int PaddedLength(int length) => (length + Count - 1) / Count * Count;

    /// <summary>The elements of a row, equally many a token, that belong to this rank's tokens, in order.</summary>
    /// <param name="row">A multiple of 2P elements.</param>
    public T[] OwnOf<T>(ReadOnlySpan<T> row)
    {
        var size = row.Length / Count;
        return [.. row.Slice(Own.Early * size, size), .. row.Slice(Own.Late * size, size)];
    }
}
