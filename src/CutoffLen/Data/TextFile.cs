using System.Text;
using CutoffLen.Files;

namespace CutoffLen.Data;

/// <summary>Reads a .txt file: one document, with CR LF made LF.</summary>
internal static class TextFile
{
    public static IEnumerable<TextPiece> Read(DataFile file, int index)
    {
        using var stream = file.Open();
        using var reader = new StreamReader(stream, StrictUtf8.Encoding, detectEncodingFromByteOrderMarks: false, bufferSize: 1 << 16);
        var text = new StringBuilder();
        var begins = true;
        var nextLook = 2 * TextPiece.LongPiece;
        foreach (var block in UnixLines(reader))
        {
            text.Append(block.Span);
            if (text.Length < nextLook)
            {
                continue;
            }

            var all = text.ToString();
            var place = TextPiece.CutPlace(all, TextPiece.LongPiece);
            if (place == 0)
            {
                // Text without line ends is searched again only after it has doubled, else time would be quadratic.
                nextLook = TextPiece.CheckedLength(file.Path, 2L * all.Length);
                continue;
            }

            yield return new TextPiece(index, 1, all[..place], begins, Ends: false);
            text.Clear().Append(all, place, all.Length - place);
            (begins, nextLook) = (false, 2 * TextPiece.LongPiece);
        }

        yield return new TextPiece(index, 1, text.ToString(), begins, Ends: true);
    }

    /// <summary>The characters in blocks, each valid until the next, without byte order mark, CR LF made LF.</summary>
    private static IEnumerable<ReadOnlyMemory<char>> UnixLines(StreamReader reader)
    {
        var block = new char[1 << 16];
        var afterReturn = false;
        for (var first = true; ; first = false)
        {
            // Index 0 is kept for a CR that the block before ended with.
            var end = 1 + reader.Read(block, 1, block.Length - 1);
            if (end == 1)
            {
                break;
            }

            var start = first && block[1] == '\uFEFF' ? 2 : 1;
            if (afterReturn && block[1] != '\n')
            {
                block[--start] = '\r';
            }

            afterReturn = block[end - 1] == '\r';
            yield return block.AsMemory(start, DropReturns(block.AsSpan(start, end - start - (afterReturn ? 1 : 0))));
        }

        if (afterReturn)
        {
            yield return "\r".AsMemory();
        }
    }

    /// <summary>Removes each CR before an LF in place; how many characters stay.</summary>
    private static int DropReturns(Span<char> text)
    {
        var kept = text.IndexOf("\r\n");
        if (kept < 0)
        {
            return text.Length;
        }

        for (var i = kept; i < text.Length; i++)
        {
            if (!text[i..].StartsWith("\r\n"))
            {
                text[kept++] = text[i];
            }
        }

        return kept;
    }
}
