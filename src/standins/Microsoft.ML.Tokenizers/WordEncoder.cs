using System.Collections.Concurrent;

namespace Microsoft.ML.Tokenizers;

/// <summary>A token within a word: its id, or <see cref="WordEncoder.Unknown"/>, and how many UTF-16 units it covers.</summary>
internal readonly record struct Symbol(int Id, int Length);

/// <summary>What becomes of a character that the vocabulary lacks.</summary>
internal enum UnknownCharacters
{
    /// <summary>It is a symbol of its own, <see cref="WordEncoder.Unknown"/>, that nothing merges with.</summary>
    Kept,

    /// <summary>It vanishes, and its neighbours may merge.</summary>
    Dropped,

    /// <summary>It becomes the unknown token.</summary>
    Replaced,

    /// <summary>A run of them becomes one unknown token.</summary>
    Fused,
}

/// <summary>
/// Byte pair encoding of words, with the results of short words remembered. Safe for use by several threads at once.
/// </summary>
internal sealed class WordEncoder
{
    /// <summary>The id of a symbol that the vocabulary lacks.</summary>
    public const int Unknown = -1;

    private const int LongestRemembered = 48;
    private const int MostRemembered = 1 << 16;

    private readonly Alphabet alphabet;
    private readonly PairMerger merger;
    private readonly Adjacency adjacency;
    private readonly UnknownCharacters unknownCharacters;
    private readonly int unknownId;
    private readonly ConcurrentDictionary<string, Symbol[]> remembered = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Symbol[]>.AlternateLookup<ReadOnlySpan<char>> lookup;
    private int rememberedCount;

    /// <summary>An encoder that starts from the ids of single characters and merges pairs.</summary>
    /// <param name="alphabet">The ids of single characters.</param>
    /// <param name="merger">The merges.</param>
    /// <param name="tokens">Every string that merging can give (more do no harm).</param>
    /// <param name="unknownCharacters">What becomes of other characters.</param>
    /// <param name="unknownId">The id of the unknown token, where they become one.</param>
    public WordEncoder(Alphabet alphabet, PairMerger merger, IEnumerable<string> tokens, UnknownCharacters unknownCharacters, int unknownId = Unknown)
    {
        this.alphabet = alphabet;
        this.merger = merger;
        this.unknownCharacters = unknownCharacters;
        this.unknownId = unknownId;
        adjacency = new Adjacency(tokens);
        lookup = remembered.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>
    /// Where the word that begins at <paramref name="start"/> ends: at the first place that no token can reach across,
    /// because none has these two characters side by side. Encoding the words one by one therefore gives exactly what
    /// encoding the text in one go gives.
    /// </summary>
    public int EndOfWord(ReadOnlySpan<char> text, int start)
    {
        for (var i = start + 1; i < text.Length; i++)
            if (!adjacency.Has(text[i - 1], text[i]) && !IsInseparable(text[i - 1], text[i]))
                return i;
        return text.Length;
    }

    // A dropped or replaced character can bring its neighbours together, or be merged itself under another name.
    private bool IsInseparable(char left, char right) =>
        char.IsSurrogatePair(left, right)
        || (unknownCharacters != UnknownCharacters.Kept && !(alphabet.Has(left) && alphabet.Has(right)));

    /// <summary>The symbols of one word.</summary>
    public ReadOnlySpan<Symbol> Encode(ReadOnlySpan<char> word)
    {
        if (word.Length > LongestRemembered)
            return Merge(word);
        if (lookup.TryGetValue(word, out var symbols))
            return symbols;
        symbols = Merge(word);
        // Starting over is cheaper than keeping count of use, and follows a change of subject.
        if (Interlocked.Increment(ref rememberedCount) > MostRemembered)
        {
            remembered.Clear();
            Interlocked.Exchange(ref rememberedCount, 1);
        }
        remembered[word.ToString()] = symbols;
        return symbols;
    }

    private Symbol[] Merge(ReadOnlySpan<char> word)
    {
        var symbols = new Symbol[word.Length];
        var count = Spell(word, symbols);
        return merger.Merge(symbols.AsSpan(0, count));
    }

    private int Spell(ReadOnlySpan<char> word, Symbol[] symbols)
    {
        var count = 0;
        var afterUnknown = false;
        for (int i = 0, length; i < word.Length; i += length)
        {
            length = i + 1 < word.Length && char.IsSurrogatePair(word[i], word[i + 1]) ? 2 : 1;
            var id = length == 1 ? alphabet.Find(word[i]) : alphabet.Find(char.ConvertToUtf32(word[i], word[i + 1]));
            var isUnknown = id == Unknown;
            if (isUnknown && unknownCharacters == UnknownCharacters.Dropped)
                continue;
            if (isUnknown && afterUnknown && unknownCharacters == UnknownCharacters.Fused)
                symbols[count - 1] = new Symbol(unknownId, symbols[count - 1].Length + length);
            else
                symbols[count++] = new Symbol(isUnknown ? unknownId : id, length);
            afterUnknown = isUnknown;
        }
        return count;
    }
}

/// <summary>The ids of tokens of one character.</summary>
internal sealed class Alphabet
{
    private readonly int[] basic = new int[char.MaxValue + 1];
    private readonly Dictionary<int, int> supplementary = [];

    /// <summary>The alphabet of a vocabulary: those of its tokens that are one character long.</summary>
    public Alphabet(IEnumerable<KeyValuePair<string, int>> vocabulary)
    {
        Array.Fill(basic, WordEncoder.Unknown);
        foreach (var (token, id) in vocabulary)
        {
            if (token.Length == 1)
                basic[token[0]] = id;
            else if (token.Length == 2 && char.IsSurrogatePair(token[0], token[1]))
                supplementary[char.ConvertToUtf32(token[0], token[1])] = id;
        }
    }

    /// <summary>The id of a UTF-16 unit that is a character by itself, or <see cref="WordEncoder.Unknown"/>.</summary>
    public int Find(char character) => basic[character];

    /// <summary>The id of a character outside the basic plane, or <see cref="WordEncoder.Unknown"/>.</summary>
    public int Find(int codePoint) => supplementary.GetValueOrDefault(codePoint, WordEncoder.Unknown);

    /// <summary>Whether a UTF-16 unit is a character of the alphabet by itself.</summary>
    public bool Has(char character) => basic[character] != WordEncoder.Unknown;
}

/// <summary>
/// Which characters stand side by side in some token: a bit per hash of the pair. A yes can be wrong, a no can't.
/// </summary>
internal sealed class Adjacency
{
    private const int Bits = 20;
    private readonly ulong[] pairs = new ulong[1 << (Bits - 6)];

    public Adjacency(IEnumerable<string> tokens)
    {
        foreach (var token in tokens)
            for (var i = 1; i < token.Length; i++)
            {
                var hash = Hash(token[i - 1], token[i]);
                pairs[hash >> 6] |= 1UL << (int)(hash & 63);
            }
    }

    public bool Has(char left, char right)
    {
        var hash = Hash(left, right);
        return (pairs[hash >> 6] >> (int)(hash & 63) & 1) != 0;
    }

    private static uint Hash(char left, char right) => (((uint)left << 16 | right) * 0x9E3779B1u) >> (32 - Bits);
}
