using System.Text;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Tokenizers;

/// <summary>The ids that stand for bytes, which follow one another.</summary>
internal sealed class ByteIds
{
    public ByteIds(List<Piece> pieces, bool inUse, IReadOnlyDictionary<string, int> vocabulary)
    {
        InUse = inUse;
        Last = Math.Max(0, pieces.FindLastIndex(piece => piece.Type == PieceType.Byte));
        First = vocabulary.GetValueOrDefault("<0x00>", Last);
    }

    /// <summary>Whether the model writes unknown characters as bytes.</summary>
    public bool InUse { get; }

    public int First { get; }

    public int Last { get; }
}

/// <summary>Encodes normalized text with a SentencePiece model's pieces.</summary>
internal sealed class SentencePieceEncoder
{
    private readonly TrainerSpec trainer;
    private readonly List<Piece> pieces;
    private readonly ByteIds bytes;
    private readonly IReadOnlyDictionary<string, int>? specialTokens;
    private readonly Regex? specialTokensExpression;
    private readonly WordEncoder words;

    public SentencePieceEncoder(SentencePieceModel model, IReadOnlyDictionary<string, int> vocabulary, ByteIds bytes, IReadOnlyDictionary<string, int>? specialTokens)
    {
        (trainer, pieces, this.bytes, this.specialTokens) = (model.Trainer, model.Pieces, bytes, specialTokens);
        specialTokensExpression = SpecialTokens.Expression(specialTokens);

        var symbols = new Dictionary<string, int>(vocabulary, StringComparer.Ordinal);
        foreach (var piece in pieces)
            foreach (var character in piece.Text.EnumerateRunes())
                // A character that is no piece by itself can still be merged into one: it gets an id above all pieces.
                symbols.TryAdd(character.ToString(), symbols.Count);
        var isUnused = pieces.Select(piece => piece.Type == PieceType.Unused).ToArray();
        Array.Resize(ref isUnused, symbols.Count);
        words = new WordEncoder(
            new Alphabet(symbols),
            new PairMerger(Merges(symbols), symbols.Count, TieBreak.Rightmost, isUnused.Contains(true) ? isUnused : null),
            pieces.Select(piece => piece.Text),
            UnknownCharacters.Kept);
    }

    /// <summary>The ids of a text.</summary>
    public List<int> Ids(string text, bool begin, bool end)
    {
        var ids = new List<int>();
        // As in the package: what normalization leaves nothing of has no ids at all, unless there are special tokens.
        if (text.Length == 0 && specialTokensExpression is null)
            return ids;
        if (begin)
            ids.Add(trainer.BeginningOfSentenceId);
        foreach (var (start, length, special) in Segments(text))
        {
            if (special is { } id)
                ids.Add(id);
            else
                AddIds(text.AsSpan(start, length), ids);
        }
        if (end)
            ids.Add(trainer.EndOfSentenceId);
        return ids;
    }

    /// <summary>The tokens of a text. Offsets count from the last special token.</summary>
    public List<EncodedToken> Tokens(string text, bool begin, bool end)
    {
        var tokens = new List<EncodedToken>();
        if (text.Length == 0)
            return tokens;
        if (begin)
            tokens.Add(new EncodedToken(trainer.BeginningOfSentenceId, trainer.BeginningOfSentencePiece, 0..0));
        foreach (var (start, length, special) in Segments(text))
        {
            if (special is { } id)
                tokens.Add(new EncodedToken(id, text.Substring(start, length), start..(start + length)));
            else
                AddTokens(text.AsSpan(start, length), tokens);
        }
        if (end)
            tokens.Add(new EncodedToken(trainer.EndOfSentenceId, trainer.EndOfSentencePiece, text.Length..text.Length));
        return tokens;
    }

    // Every way to put two symbols together that gives a piece; the higher the piece's score the sooner.
    private IEnumerable<(int Left, int Right, int Rank, int Id)> Merges(Dictionary<string, int> symbols)
    {
        var rankOf = pieces.Select(piece => piece.Score).Distinct().OrderDescending()
            .Select((score, rank) => (score, rank)).ToDictionary(pair => pair.score, pair => pair.rank);
        var lengths = symbols.Keys.Select(symbol => symbol.Length).ToHashSet();
        var lookup = symbols.GetAlternateLookup<ReadOnlySpan<char>>();
        for (var id = 0; id < pieces.Count; id++)
        {
            var (text, score, _) = pieces[id];
            for (var cut = 1; cut < text.Length; cut++)
                if (lengths.Contains(cut) && lengths.Contains(text.Length - cut)
                    && !char.IsSurrogatePair(text[cut - 1], text[cut])
                    && lookup.TryGetValue(text.AsSpan(0, cut), out var left) && lookup.TryGetValue(text.AsSpan(cut), out var right))
                    yield return (left, right, rankOf[score], id);
        }
    }

    private IEnumerable<(int Start, int Length, int? Special)> Segments(string text)
    {
        var start = 0;
        while (specialTokensExpression is not null && SpecialTokens.Next(specialTokensExpression, text, start, text.Length) is { Length: > 0 } token)
        {
            if (token.Offset > start)
                yield return (start, token.Offset - start, null);
            yield return (token.Offset, token.Length, specialTokens![text.Substring(token.Offset, token.Length)]);
            start = token.Offset + token.Length;
        }
        if (start < text.Length)
            yield return (start, text.Length - start, null);
    }

    private void AddIds(ReadOnlySpan<char> text, List<int> ids)
    {
        var at = 0;
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = words.EndOfWord(text, start);
            foreach (var symbol in words.Encode(text[start..end]))
            {
                if (IsWrittenAsBytes(symbol.Id))
                    AddBytes(text.Slice(at, symbol.Length), ids);
                else
                    ids.Add(IdOf(symbol));
                at += symbol.Length;
            }
        }
    }

    private void AddBytes(ReadOnlySpan<char> text, List<int> ids)
    {
        foreach (var value in Encoding.UTF8.GetBytes(text.ToString()))
            ids.Add(bytes.First + value);
    }

    private void AddTokens(ReadOnlySpan<char> text, List<EncodedToken> tokens)
    {
        var at = 0;
        for (int start = 0, end; start < text.Length; start = end)
        {
            end = words.EndOfWord(text, start);
            foreach (var symbol in words.Encode(text[start..end]))
            {
                if (IsWrittenAsBytes(symbol.Id))
                    AddByteTokens(text.Slice(at, symbol.Length), at, tokens);
                else
                    tokens.Add(new EncodedToken(IdOf(symbol), TextOf(IdOf(symbol)) ?? text.Slice(at, symbol.Length).ToString(), at..(at + symbol.Length)));
                at += symbol.Length;
            }
        }
    }

    // The first byte stands for the whole character, the others for nothing.
    private void AddByteTokens(ReadOnlySpan<char> text, int at, List<EncodedToken> tokens)
    {
        foreach (var (start, length, utf8) in ByteRuns(text.ToString()))
            for (var i = 0; i < utf8.Length; i++)
                if (TextOf(bytes.First + utf8[i]) is { } value)
                    tokens.Add(new EncodedToken(bytes.First + utf8[i], value, (at + start)..(at + start + (i == 0 ? length : 0))));
    }

    // ASCII characters one by one, then all that is left at once.
    private static IEnumerable<(int Start, int Length, byte[] Utf8)> ByteRuns(string text)
    {
        var i = 0;
        for (; i < text.Length && char.IsAscii(text[i]); i++)
            yield return (i, 1, [(byte)text[i]]);
        if (i < text.Length)
            yield return (i, text.Length - i, Encoding.UTF8.GetBytes(text[i..]));
    }

    private bool IsWrittenAsBytes(int symbol) => bytes.InUse && (IsUnknown(symbol) || symbol == trainer.UnknownId);

    private int IdOf(Symbol symbol) => IsUnknown(symbol.Id) ? trainer.UnknownId : symbol.Id;

    private bool IsUnknown(int symbol) => symbol < 0 || symbol >= pieces.Count;

    private string? TextOf(int id) => id >= 0 && id < pieces.Count ? pieces[id].Text : null;
}
