using CutoffLen.Common;

namespace CutoffLen.Data;

/// <summary>
/// A part of a document: all of it, or a part of a long one that ends at a line's end. Pieces come in order.
/// </summary>
/// <param name="File">Index of the file among those read.</param>
/// <param name="Line">The line or row, from 1, where the document begins.</param>
/// <param name="Text">The characters, never null; the pieces of a document joined are the document.</param>
/// <param name="Begins">Whether this is the document's first piece.</param>
/// <param name="Ends">Whether this is the document's last piece.</param>
/// <param name="Prompt">Of a record of prompt and completion, one piece, the characters of the prompt; null for text.</param>
public sealed record TextPiece(int File, int Line, string Text, bool Begins, bool Ends, int? Prompt = null)
{
    /// <summary>Characters after which a piece is ended at the next good place.</summary>
    public const int LongPiece = 1 << 20;

    /// <summary>What is learned of it: all, or the completion.</summary>
    internal ReadOnlySpan<char> Learned => Text.AsSpan(Prompt ?? 0);

    /// <summary>The pieces of a document whose whole text is at hand.</summary>
    internal static IEnumerable<TextPiece> Of(int file, int line, string text)
    {
        var start = 0;
        while (text.Length - start > 2 * LongPiece && CutAfter(text, start) is var end and > 0)
        {
            yield return new TextPiece(file, line, text[start..end], Begins: start == 0, Ends: false);
            start = end;
        }

        yield return new TextPiece(file, line, text[start..], Begins: start == 0, Ends: true);
    }

    /// <summary>
    /// Where a text may be cut so that the tokens of the parts are the tokens of the whole: the last place, at or after
    /// <paramref name="least"/>, between a line feed and a letter or digit. 0 when there is none. Few tokenizers merge
    /// across it: byte-level BPE's patterns split before a letter that follows a line feed, and in SentencePiece
    /// vocabularies a line feed is a piece of its own or a space. <see cref="Tokenizing"/> finds those that do.
    /// </summary>
    public static int CutPlace(ReadOnlySpan<char> text, int least)
    {
        for (var place = text.Length - 1; place >= Math.Max(1, least); place--)
        {
            if (text[place - 1] == '\n' && char.IsLetterOrDigit(text[place]))
            {
                return place;
            }
        }

        return 0;
    }

    /// <summary>
    /// Where the piece from <paramref name="start"/> ends: the last cut place within two pieces' length, or the first one
    /// after it in text of very long lines. 0 when there is none.
    /// </summary>
    private static int CutAfter(string text, int start)
    {
        var window = text.AsSpan(start);
        for (long length = 2 * LongPiece; ; length *= 2)
        {
            var place = CutPlace(window[..(int)Math.Min(length, window.Length)], LongPiece);
            if (place > 0 || length >= window.Length)
            {
                return place == 0 ? 0 : start + place;
            }
        }
    }

    /// <summary>A buffer's next length, or the error that a line is too long to be text.</summary>
    internal static int CheckedLength(string path, long length) => length <= 1 << 30
        ? (int)length
        : throw new UserException($"{path}: a stretch of {length / 2} characters without a line end; break the text into lines");
}
