namespace CutoffLen.Positions;

/// <summary>
/// The position ids of a row's T tokens, and the documents they belong to. Ids never decrease within a document. Attention
/// never crosses from one document into another.
/// </summary>
public sealed class TokenPositions
{
    /// <summary>Creates positions from ids and document starts.</summary>
    /// <param name="ids">[T] position ids, not decreasing within a document, none negative.</param>
    /// <param name="documentStarts">
    /// Indices of the first token of each document, ascending, the first 0; null for a single document.
    /// </param>
    /// <exception cref="ArgumentException">Ids or starts break these rules.</exception>
    public TokenPositions(int[] ids, int[]? documentStarts = null)
    {
        Ids = ids;
        DocumentStarts = documentStarts ?? [0];
        Check();
        Extent = ids.Length == 0 ? 0 : ids.Max() + 1;
    }

    /// <summary>[T] position ids.</summary>
    public int[] Ids { get; }

    /// <summary>Index of the first token of each document, ascending, beginning with 0.</summary>
    public int[] DocumentStarts { get; }

    /// <summary>T, the number of tokens.</summary>
    public int Length => Ids.Length;

    /// <summary>The largest position id plus one.</summary>
    public int Extent { get; }

    /// <summary>One document of <paramref name="length"/> tokens with ids offset, offset + 1, ...</summary>
    public static TokenPositions Sequential(int length, int offset = 0) => new([.. Enumerable.Range(offset, length)]);

    /// <summary>Packed documents of the given lengths, each with ids from 0.</summary>
    public static TokenPositions Packed(IReadOnlyList<int> lengths)
    {
        var ids = lengths.SelectMany(n => Enumerable.Range(0, n)).ToArray();
        var starts = new int[lengths.Count];
        for (var d = 1; d < starts.Length; d++)
        {
            starts[d] = starts[d - 1] + lengths[d - 1];
        }

        return new TokenPositions(ids, starts);
    }

    /// <summary>These and padding up to <paramref name="length"/> tokens. Padding tokens are documents of their own, at position 0.</summary>
    public TokenPositions Padded(int length) =>
        new([.. Ids, .. Enumerable.Repeat(0, length - Length)], [.. DocumentStarts, .. Enumerable.Range(Length, length - Length)]);

    /// <summary>The half-open index range of document <paramref name="document"/>.</summary>
    public (int Start, int End) Document(int document) =>
        (DocumentStarts[document], document + 1 < DocumentStarts.Length ? DocumentStarts[document + 1] : Length);

    /// <summary>
    /// Last minus first position id of a document, plus one: the length that a length-dependent method sees. It is independent
    /// of a shift of all ids and of the row's other documents.
    /// </summary>
    public int Span(int document)
    {
        var (start, end) = Document(document);
        return end == start ? 0 : Ids[end - 1] - Ids[start] + 1;
    }

    /// <summary>[T] the <see cref="Span"/> of each token's document.</summary>
    public int[] SpanOfDocument()
    {
        var spans = new int[Length];
        for (var d = 0; d < DocumentStarts.Length; d++)
        {
            var (start, end) = Document(d);
            Array.Fill(spans, Span(d), start, end - start);
        }

        return spans;
    }

    /// <summary>[T] position ids minus the first id of the token's document.</summary>
    public int[] WithinDocument() => [.. StartOfDocument().Select((start, token) => Ids[token] - Ids[start])];

    /// <summary>
    /// [T] for each token the first index of its document whose position within the document is at least
    /// <paramref name="least"/>(token); the token's own index plus one when no token up to it reaches that.
    /// </summary>
    public int[] FirstAtLeast(Func<int, int> least)
    {
        var starts = StartOfDocument();
        var first = new int[Length];
        for (var token = 0; token < Length; token++)
        {
            var wanted = (long)least(token) + Ids[starts[token]];
            var (low, high) = (starts[token], token + 1);
            while (low < high)
            {
                var middle = (low + high) / 2;
                (low, high) = Ids[middle] < wanted ? (middle + 1, high) : (low, middle);
            }

            first[token] = low;
        }

        return first;
    }

    /// <summary>[T] the index of the first token of each token's document.</summary>
    public int[] StartOfDocument()
    {
        var starts = new int[Length];
        for (var d = 0; d < DocumentStarts.Length; d++)
        {
            var (start, end) = Document(d);
            Array.Fill(starts, start, start, end - start);
        }

        return starts;
    }

    private void Check()
    {
        if (DocumentStarts.Length == 0 || DocumentStarts[0] != 0)
        {
            throw new ArgumentException("document starts must begin with 0");
        }

        for (var d = 0; d < DocumentStarts.Length; d++)
        {
            var (start, end) = Document(d);
            if (end < start || (end == start && Length > 0))
            {
                throw new ArgumentException($"document {d} starts at {start} but ends at {end}");
            }

            for (var i = start; i < end; i++)
            {
                if (Ids[i] < 0 || (i > start && Ids[i] < Ids[i - 1]))
                {
                    throw new ArgumentException($"position ids must not be negative or decrease: id {Ids[i]} at token {i}");
                }
            }
        }
    }
}
