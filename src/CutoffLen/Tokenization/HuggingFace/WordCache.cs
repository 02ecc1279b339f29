using System.Collections.Concurrent;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>The ids of the short words seen first. Safe from several threads at once.</summary>
internal sealed class WordCache
{
    // More words or longer ones would seldom be found again.
    private const int MostWords = 1 << 16;
    private const int LongestWord = 48;

    private readonly ConcurrentDictionary<string, int[]>.AlternateLookup<ReadOnlySpan<char>> words =
        new ConcurrentDictionary<string, int[]>(StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();

    private int count;

    /// <summary>Appends the ids of a word, if it is known.</summary>
    public bool TryAppend(ReadOnlySpan<char> word, List<int> ids)
    {
        if (word.Length > LongestWord || !words.TryGetValue(word, out var known))
        {
            return false;
        }

        ids.AddRange(known);
        return true;
    }

    /// <summary>Remembers a word whose ids were appended from an index on.</summary>
    public void Remember(ReadOnlySpan<char> word, List<int> ids, int from)
    {
        if (word.Length <= LongestWord && Volatile.Read(ref count) < MostWords && words.TryAdd(word, [.. ids[from..]]))
        {
            Interlocked.Increment(ref count);
        }
    }
}
