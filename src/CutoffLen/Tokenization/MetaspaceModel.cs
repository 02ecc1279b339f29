using System.Text;
using CutoffLen.Common;
using Microsoft.ML.Tokenizers;

namespace CutoffLen.Tokenization;

/// <summary>How SentencePiece-like models treat white space; defaults are LLaMA's.</summary>
/// <param name="Prefix">Where a space is put before the text.</param>
/// <param name="RemoveExtra">Whether runs of spaces become one, and those at both ends go.</param>
/// <param name="SplitRuns">Whether each space begins a word of its own, so that no token has two.</param>
internal sealed record Whitespace(SpacePrefix Prefix = SpacePrefix.Always, bool RemoveExtra = false, bool SplitRuns = false);

/// <summary>Where a space is put before plain text.</summary>
internal enum SpacePrefix
{
    /// <summary>Nowhere.</summary>
    Never,

    /// <summary>Before every part, also after an added token.</summary>
    Always,

    /// <summary>Before every part that has none yet.</summary>
    AlwaysUnlessThere,

    /// <summary>At the beginning of the text, unless there is one.</summary>
    FirstUnlessThere,
}

/// <summary>
/// SentencePiece BPE: LLaMA 1 and 2, Mistral. Spaces are U+2581. A character that the vocabulary lacks becomes its UTF-8
/// bytes, a byte token each (byte fallback). The package's <see cref="BpeTokenizer"/> has neither, so <see cref="Normalize"/>
/// does both: a byte is written as a character of a private range that the vocabulary does not use.
/// The package's LlamaTokenizer is not used. It prefers the rightmost of equal merges, SentencePiece the leftmost, and it
/// reads model files only.
/// </summary>
internal sealed class MetaspaceModel : TokenModel
{
    /// <summary>What stands for a space.</summary>
    public const char Space = '\u2581';

    private readonly BpeTokenizer bpe;
    private readonly Whitespace whitespace;
    private readonly bool[] isPiece = new bool[char.MaxValue + 1];
    private readonly HashSet<int> widePieces = [];
    private readonly char firstByte;

    private MetaspaceModel(Dictionary<string, int> pieces, int[] byteIds, IEnumerable<string> merges, Whitespace whitespace)
    {
        this.whitespace = whitespace;
        firstByte = UnusedRange(pieces.Keys);
        foreach (var piece in pieces.Keys)
        {
            if (Rune.TryGetRuneAt(piece, 0, out var rune) && rune.Utf16SequenceLength == piece.Length)
            {
                _ = rune.IsBmp ? isPiece[rune.Value] = true : widePieces.Add(rune.Value);
            }
        }

        // A literal U+2581 in the text is a space too, even where no piece is U+2581 alone.
        var vocabulary = pieces.Concat(byteIds.Select((id, value) => KeyValuePair.Create(((char)(firstByte + value)).ToString(), id)));
        var everySpace = whitespace.SplitRuns || pieces.Keys.All(piece => !piece.AsSpan(1).Contains(Space));
        var onlyBeforeWords = pieces.Keys.All(piece => !HasSpaceInside(piece));
        bpe = BpeTokenizer.Create(new BpeOptions(vocabulary)
        {
            Merges = merges,
            PreTokenizer = new MetaspaceWords(firstByte, everySpace, onlyBeforeWords),
        });
    }

    /// <inheritdoc/>
    public override string Kind => "SentencePiece BPE with byte fallback";

    /// <summary>Builds the model.</summary>
    /// <param name="pieces">Pieces that text may become, U+2581 for spaces; no byte tokens.</param>
    /// <param name="byteIds">[256] the ids of the byte tokens.</param>
    /// <param name="merges">"left right", the first merge first.</param>
    /// <param name="whitespace">How white space is treated.</param>
    public static MetaspaceModel Create(
        Dictionary<string, int> pieces, int[] byteIds, IEnumerable<string> merges, Whitespace whitespace) =>
        new(pieces, byteIds, merges, whitespace)
        {
            Tokens = Spelled(pieces, byteIds),
            Strip = whitespace switch
            {
                { RemoveExtra: true } => LeadingSpace.All,
                { Prefix: SpacePrefix.Never } => LeadingSpace.Kept,
                _ => LeadingSpace.One,
            },
        };

    private static Dictionary<int, string> Spelled(Dictionary<string, int> pieces, int[] byteIds)
    {
        var tokens = pieces.ToDictionary(piece => piece.Value, piece => piece.Key);
        for (var value = 0; value < byteIds.Length; value++)
        {
            tokens.Add(byteIds[value], $"<0x{value:X2}>");
        }

        return tokens;
    }

    /// <summary>The byte of a byte token, "&lt;0x00&gt;" to "&lt;0xFF&gt;"; null for any other.</summary>
    public static byte? ByteOf(string token) =>
        token is ['<', '0', 'x', var high, var low, '>'] && char.IsAsciiHexDigit(high) && char.IsAsciiHexDigit(low)
            ? Convert.ToByte(token[3..5], 16)
            : null;

    /// <inheritdoc/>
    public override byte[] Bytes(string token) =>
        ByteOf(token) is { } value ? [value] : Encoding.UTF8.GetBytes(token.Replace(Space, ' '));

    /// <summary>256 characters of the private use area, in a row, that no piece has.</summary>
    private static char UnusedRange(IEnumerable<string> pieces)
    {
        const char first = '\uE000', last = '\uF700';
        var used = pieces.SelectMany(piece => piece).Where(c => c is >= first and < (char)(last + 256)).Select(c => c & 0xFF00).ToHashSet();
        for (var start = first; start <= last; start += (char)256)
        {
            if (!used.Contains(start))
            {
                return start;
            }
        }

        throw new UserException("the vocabulary uses all of Unicode's private use area, which byte fallback needs a part of");
    }

    private static bool HasSpaceInside(string piece) =>
        piece.AsSpan().TrimStart(Space).Contains(Space);

    /// <inheritdoc/>
    public override string Normalize(string text, bool first)
    {
        if (whitespace.RemoveExtra)
        {
            text = text.TrimStart(' ');
        }

        if (text.Length == 0)
        {
            return "";
        }

        var normalized = new StringBuilder(text.Length + 1);
        if (IsPrefixed(text, first))
        {
            AppendSpacesAndBytes(normalized, " ");
        }

        AppendSpacesAndBytes(normalized, text);
        var result = normalized.ToString();
        return whitespace.RemoveExtra ? result.TrimEnd(Space) : result;
    }

    /// <summary>A token's text as it stands in normalized text.</summary>
    public string Escape(string token)
    {
        var escaped = new StringBuilder(token.Length);
        AppendSpacesAndBytes(escaped, token);
        return escaped.ToString();
    }

    private bool IsPrefixed(string text, bool first)
    {
        var hasOne = text[0] is ' ' or Space;
        return whitespace.Prefix switch
        {
            SpacePrefix.Always => true,
            SpacePrefix.AlwaysUnlessThere => !hasOne,
            SpacePrefix.FirstUnlessThere => first && !hasOne,
            _ => false,
        };
    }

    private void AppendSpacesAndBytes(StringBuilder normalized, string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i] == ' ' ? Space : text[i];
            if (text[i] == ' ' && whitespace.RemoveExtra && i > 0 && text[i - 1] == ' ')
            {
                continue;
            }

            if (isPiece[c])
            {
                normalized.Append(c);
            }
            else if (char.IsSurrogate(c))
            {
                // Half a surrogate pair becomes U+FFFD.
                _ = Rune.DecodeFromUtf16(text.AsSpan(i), out var rune, out var length);
                i += length - 1;
                AppendRune(normalized, rune);
            }
            else
            {
                AppendRune(normalized, new Rune(c));
            }
        }
    }

    private void AppendRune(StringBuilder normalized, Rune rune)
    {
        if (rune.IsBmp ? isPiece[rune.Value] : widePieces.Contains(rune.Value))
        {
            normalized.Append(rune.ToString());
            return;
        }

        Span<byte> utf8 = stackalloc byte[4];
        foreach (var value in utf8[..rune.EncodeToUtf8(utf8)])
        {
            normalized.Append((char)(firstByte + value));
        }
    }

    /// <inheritdoc/>
    public override void Encode(string normalized, List<int> ids) =>
        ids.AddRange(bpe.EncodeToIds(normalized, considerNormalization: false));
}

/// <summary>
/// Cuts normalized text where no merge can reach across: around byte characters, and before spaces where no piece has a
/// space inside or at its end. Short words are what the tokenizer's cache can remember.
/// </summary>
/// <param name="firstByte">The character of byte 0.</param>
/// <param name="everySpace">Cut before every space.</param>
/// <param name="beforeWords">Cut before every run of spaces.</param>
internal sealed class MetaspaceWords(char firstByte, bool everySpace, bool beforeWords) : PreTokenizer
{
    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text)
    {
        var start = 0;
        for (var i = 1; i <= text.Length; i++)
        {
            if (i == text.Length || IsBorder(text[i - 1], text[i]))
            {
                yield return (start, i - start);
                start = i;
            }
        }
    }

    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => PreTokenize(text.ToString());

    private bool IsBorder(char before, char after) =>
        (after == MetaspaceModel.Space && (everySpace || (beforeWords && before != MetaspaceModel.Space)))
        || IsByte(after) || IsByte(before);

    private bool IsByte(char c) => c >= firstByte && c < firstByte + 256;
}
