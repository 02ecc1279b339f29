using System.Collections.ObjectModel;
using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.Tokenizers;

/// <summary>Byte pair encoding with a given vocabulary and list of merges.</summary>
public sealed class BpeTokenizer : Tokenizer
{
    private const int ShortWord = 100;

    private readonly PreTokenizer preTokenizer;
    private readonly Normalizer? normalizer;
    private readonly WordEncoder words;
    private readonly Dictionary<string, int>.AlternateLookup<ReadOnlySpan<char>>? specialIds;
    private readonly Dictionary<int, string> specialTexts = [];
    private readonly Dictionary<int, string> texts;
    private readonly int? unknownId;

    private BpeTokenizer(BpeOptions options, Dictionary<string, int> vocabulary)
    {
        ByteLevel = options.ByteLevel;
        FuseUnknownTokens = options.FuseUnknownTokens;
        UnknownToken = options.UnknownToken;
        SpecialTokens = options.SpecialTokens;
        Vocabulary = new ReadOnlyDictionary<string, int>(vocabulary);
        preTokenizer = options.PreTokenizer ?? PreTokenizer.CreateWordOrNonWord();
        normalizer = options.Normalizer;
        texts = vocabulary.ToDictionary(token => token.Value, token => token.Key);
        if (SpecialTokens is not null)
        {
            specialTexts = SpecialTokens.ToDictionary(token => token.Value, token => token.Key);
            specialIds = new Dictionary<string, int>(SpecialTokens, StringComparer.Ordinal).GetAlternateLookup<ReadOnlySpan<char>>();
        }
        if (UnknownToken is not null)
            unknownId = vocabulary.TryGetValue(UnknownToken, out var id)
                ? id
                : throw new InvalidOperationException($"Unknown Token '{UnknownToken}' was not present in 'Vocabulary'.");
        words = MakeWordEncoder(vocabulary, options.Merges ?? []);
    }

    /// <summary>Words that become fixed ids whole; null for none.</summary>
    public IReadOnlyDictionary<string, int>? SpecialTokens { get; }

    /// <summary>The token of characters that the vocabulary lacks; null: such characters vanish.</summary>
    public string? UnknownToken { get; }

    /// <summary>Whether a run of unknown characters is one unknown token.</summary>
    public bool FuseUnknownTokens { get; }

    /// <summary>Whether the vocabulary is written in GPT-2's byte alphabet and text is encoded as UTF-8 bytes.</summary>
    public bool ByteLevel { get; }

    /// <inheritdoc/>
    public override PreTokenizer? PreTokenizer => preTokenizer;

    /// <inheritdoc/>
    public override Normalizer? Normalizer => normalizer;

    /// <summary>Tokens and ids, without the special tokens unless they were given as part of the vocabulary.</summary>
    public IReadOnlyDictionary<string, int> Vocabulary { get; }

    /// <summary>A tokenizer made of these parts.</summary>
    /// <exception cref="ArgumentNullException"><paramref name="options"/> is null.</exception>
    /// <exception cref="ArgumentException">A token, an id or a merge is given twice, or an id is negative.</exception>
    /// <exception cref="InvalidOperationException">The vocabulary is empty or lacks the unknown token or a token that a merge needs, or a merge is not two tokens and one space.</exception>
    public static BpeTokenizer Create(BpeOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (token, id) in options.Vocabulary)
            vocabulary.Add(token, id >= 0 ? id : throw new ArgumentException($"The token '{token}' has the id {id}; ids begin at 0."));
        if (vocabulary.Count == 0)
            throw new InvalidOperationException("The vocabulary cannot be empty.");
        return new BpeTokenizer(options, vocabulary);
    }

    /// <summary>The text of ids, special tokens included.</summary>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is null.</exception>
    public override string Decode(IEnumerable<int> ids) => DecodeIds(ids);

    /// <summary>The text of ids.</summary>
    /// <param name="ids">The ids; those outside the vocabulary have no text.</param>
    /// <param name="considerSpecialTokens">Whether special tokens (and the unknown token, unless <see cref="ByteLevel"/>) are written out.</param>
    /// <exception cref="ArgumentNullException"><paramref name="ids"/> is null.</exception>
    public string Decode(IEnumerable<int> ids, bool considerSpecialTokens)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return ByteLevel ? DecodeBytes(ids, considerSpecialTokens) : DecodeCharacters(ids, considerSpecialTokens);
    }

    private protected override string DecodeIds(IEnumerable<int> ids) => Decode(ids, considerSpecialTokens: true);

    private protected override List<int> EncodeIds(string normalizedText, bool preTokenize)
    {
        var ids = new List<int>();
        foreach (var (offset, length) in Words(normalizedText, preTokenize))
            AddIds(normalizedText.AsSpan(offset, length), ids);
        return ids;
    }

    private protected override List<EncodedToken> EncodeTokens(string normalizedText, bool preTokenize)
    {
        var tokens = new List<EncodedToken>();
        foreach (var (offset, length) in Words(normalizedText, preTokenize))
            AddTokens(normalizedText.AsSpan(offset, length), offset, tokens);
        return tokens;
    }

    private IEnumerable<(int Offset, int Length)> Words(string text, bool preTokenize) =>
        text.Length == 0 ? [] : preTokenize ? preTokenizer.PreTokenize(text) : [(0, text.Length)];

    private void AddIds(ReadOnlySpan<char> word, List<int> ids)
    {
        if (specialIds is { } special && special.TryGetValue(word, out var specialId))
        {
            ids.Add(specialId);
            return;
        }
        var text = Spell(word, word.Length <= ShortWord ? stackalloc char[ByteAlphabet.MostPerUnit * ShortWord] : default);
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = words.EndOfWord(text, start);
            foreach (var symbol in words.Encode(text[start..end]))
                ids.Add(symbol.Id);
        }
    }

    private void AddTokens(ReadOnlySpan<char> word, int offset, List<EncodedToken> tokens)
    {
        if (specialIds is { } special && special.TryGetValue(word, out var specialId))
        {
            tokens.Add(new EncodedToken(specialId, specialTexts[specialId], offset..(offset + word.Length)));
            return;
        }
        var text = Spell(word, default);
        var origins = ByteLevel ? ByteAlphabet.Origins(word) : null;
        var at = 0;
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = words.EndOfWord(text, start);
            foreach (var symbol in words.Encode(text[start..end]))
            {
                var last = at + symbol.Length - 1;
                var range = (offset + (origins?[at] ?? at))..(offset + (origins?[last] ?? last) + 1);
                tokens.Add(new EncodedToken(symbol.Id, texts[symbol.Id], range));
                at += symbol.Length;
            }
        }
    }

    /// <summary>A word in the vocabulary's alphabet, written to the buffer where that is not empty.</summary>
    private ReadOnlySpan<char> Spell(ReadOnlySpan<char> word, Span<char> buffer)
    {
        if (!ByteLevel)
            return word;
        if (buffer.IsEmpty)
            buffer = new char[ByteAlphabet.MostPerUnit * word.Length];
        return buffer[..ByteAlphabet.Encode(word, buffer)];
    }

    private string DecodeBytes(IEnumerable<int> ids, bool considerSpecialTokens)
    {
        var bytes = new List<byte>();
        foreach (var id in ids)
            if (specialTexts.TryGetValue(id, out var special))
                ByteAlphabet.Decode(considerSpecialTokens ? special : "", bytes);
            else if (texts.TryGetValue(id, out var text))
                ByteAlphabet.Decode(text, bytes);
        return Encoding.UTF8.GetString(CollectionsMarshal.AsSpan(bytes));
    }

    private string DecodeCharacters(IEnumerable<int> ids, bool considerSpecialTokens)
    {
        var result = new StringBuilder();
        foreach (var id in ids)
            if (specialTexts.TryGetValue(id, out var special))
                result.Append(considerSpecialTokens ? special : "");
            else if (texts.TryGetValue(id, out var text) && (considerSpecialTokens || id != unknownId))
                result.Append(text);
        return result.ToString();
    }

    private WordEncoder MakeWordEncoder(Dictionary<string, int> vocabulary, IEnumerable<string> mergeLines)
    {
        var merges = new List<(int Left, int Right, int Rank, int Id)>();
        foreach (var line in mergeLines)
        {
            if (line is null || !BpeOptions.IsMerge(line))
                throw new InvalidOperationException(line is null ? "The merge entries cannot be null." : "Invalid merger file format");
            var space = line.IndexOf(' ');
            var (left, right) = (line[..space], line[(space + 1)..]);
            merges.Add((IdOf(left), IdOf(right), merges.Count, IdOf(left + right)));
        }
        var unknownCharacters = unknownId is null ? UnknownCharacters.Dropped
            : FuseUnknownTokens ? UnknownCharacters.Fused : UnknownCharacters.Replaced;
        var merger = new PairMerger(merges, vocabulary.Values.Max() + 1L, TieBreak.Leftmost);
        return new WordEncoder(new Alphabet(vocabulary), merger, vocabulary.Keys, unknownCharacters, unknownId ?? WordEncoder.Unknown);

        int IdOf(string token) => vocabulary.TryGetValue(token, out var id)
            ? id
            : throw new InvalidOperationException($"Trying to merge a token '{token}' which not exist in the vocabulary.");
    }
}
