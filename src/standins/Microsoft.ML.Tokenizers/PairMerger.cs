namespace Microsoft.ML.Tokenizers;

/// <summary>Which of several pairs of equal rank is merged first.</summary>
internal enum TieBreak
{
    /// <summary>The one nearest to the beginning.</summary>
    Leftmost,

    /// <summary>The one nearest to the end.</summary>
    Rightmost,
}

/// <summary>
/// Merges neighbouring symbols, the pair of lowest rank first, until no pair has a rank
/// (Sennrich et al. 2016, arXiv 1508.07909). Linked symbols and a queue of pairs: n log n for any input.
/// </summary>
internal sealed class PairMerger
{
    private readonly Dictionary<long, (int Rank, int Id)> merges;
    private readonly long idCount;
    private readonly TieBreak tieBreak;
    private readonly bool[]? provisional;

    /// <summary>A merger with these pairs.</summary>
    /// <param name="merges">Pairs of ids, their ranks and the ids they become.</param>
    /// <param name="idCount">All ids are below this.</param>
    /// <param name="tieBreak">Which of several pairs of equal rank is merged first.</param>
    /// <param name="provisional">Ids that only lead to others: where one is left over, it is taken apart again. Null for none.</param>
    /// <exception cref="ArgumentException">A pair is given twice.</exception>
    public PairMerger(IEnumerable<(int Left, int Right, int Rank, int Id)> merges, long idCount, TieBreak tieBreak, bool[]? provisional = null)
    {
        this.idCount = idCount;
        this.tieBreak = tieBreak;
        this.provisional = provisional;
        this.merges = merges.ToDictionary(merge => Key(merge.Left, merge.Right), merge => (merge.Rank, merge.Id));
    }

    /// <summary>The symbols that are left when all merging is done.</summary>
    public Symbol[] Merge(ReadOnlySpan<Symbol> symbols)
    {
        var chain = new Link[symbols.Length];
        for (var i = 0; i < chain.Length; i++)
            chain[i] = new Link(symbols[i].Id, symbols[i].Length, i - 1, i + 1);
        var queue = new PriorityQueue<int, long>(chain.Length);
        for (var i = 0; i + 1 < chain.Length; i++)
            Offer(chain, i, queue);
        var parts = provisional is null ? null : new Dictionary<(int Link, int Length), (Part Left, Part Right)>();

        while (queue.TryDequeue(out var at, out var priority))
            // A merge nearby may have left this entry behind.
            if (IsAlive(chain, at, out var right) && Find(chain[at].Id, chain[right].Id) is { } merge && Priority(merge.Rank, at) == priority)
            {
                if (parts is not null)
                    parts[(at, chain[at].Length + chain[right].Length)] = (new Part(at, chain[at]), new Part(right, chain[right]));
                Join(chain, at, right, merge.Id);
                Offer(chain, chain[at].Previous, queue);
                Offer(chain, at, queue);
            }
        return Collect(chain, parts);
    }

    private void Offer(Link[] chain, int at, PriorityQueue<int, long> queue)
    {
        if (at >= 0 && chain[at].Next < chain.Length && Find(chain[at].Id, chain[chain[at].Next].Id) is { } merge)
            queue.Enqueue(at, Priority(merge.Rank, at));
    }

    private static bool IsAlive(Link[] chain, int at, out int right)
    {
        right = chain[at].Next;
        return chain[at].Length > 0 && right < chain.Length;
    }

    private static void Join(Link[] chain, int at, int right, int id)
    {
        chain[at].Id = id;
        chain[at].Length += chain[right].Length;
        chain[at].Next = chain[right].Next;
        chain[right].Length = 0;
        if (chain[at].Next < chain.Length)
            chain[chain[at].Next].Previous = at;
    }

    private Symbol[] Collect(Link[] chain, Dictionary<(int Link, int Length), (Part Left, Part Right)>? parts)
    {
        var result = new List<Symbol>();
        for (var i = 0; i < chain.Length; i = chain[i].Next)
            Collect(new Part(i, chain[i]), parts, result);
        return [.. result];
    }

    private void Collect(Part part, Dictionary<(int Link, int Length), (Part Left, Part Right)>? parts, List<Symbol> result)
    {
        if (parts is not null && part.Id >= 0 && provisional![part.Id] && parts.TryGetValue((part.Link, part.Length), out var halves))
        {
            Collect(halves.Left, parts, result);
            Collect(halves.Right, parts, result);
        }
        else
        {
            result.Add(new Symbol(part.Id, part.Length));
        }
    }

    private (int Rank, int Id)? Find(int left, int right) =>
        left >= 0 && right >= 0 && merges.TryGetValue(Key(left, right), out var merge) ? merge : null;

    // Not left << 32 | right: its hash is left ^ right, which many pairs share.
    private long Key(int left, int right) => left * idCount + right;

    private long Priority(int rank, int at) =>
        (long)rank << 32 | (uint)(tieBreak == TieBreak.Leftmost ? at : int.MaxValue - at);

    /// <summary>A symbol in the chain; length 0 once it has been merged into its left neighbour.</summary>
    private record struct Link(int Id, int Length, int Previous, int Next);

    /// <summary>A symbol as it was before a merge: where it begins, its id and length.</summary>
    private readonly record struct Part(int Link, int Id, int Length)
    {
        public Part(int at, Link link)
            : this(at, link.Id, link.Length)
        {
        }
    }
}
