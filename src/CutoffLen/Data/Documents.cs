using System.Text;
using CutoffLen.Common;

namespace CutoffLen.Data;

/// <summary>
/// Reads documents in order and in constant memory: what is held is one piece of about a million characters, and the
/// longest line. Text is UTF-8, with or without a byte order mark; anything that is not is an error that names the
/// line, never replaced silently. In .txt files Windows line ends (CR LF) become LF, as Python's text mode and the
/// tools built on it have it; the strings of .jsonl lines are taken as they are written.
/// </summary>
public static class Documents
{
    /// <summary>The pieces of all documents of all files.</summary>
    /// <exception cref="UserException">
    /// While enumerating: a file that cannot be read, is not UTF-8, or a line that is not an object with a text.
    /// </exception>
    public static IEnumerable<TextPiece> Read(IReadOnlyList<DataFile> files) =>
        files.SelectMany((file, index) => Read(file, index));

    private static IEnumerable<TextPiece> Read(DataFile file, int index)
    {
        using var pieces = (file.Format == DataFormat.Text ? TextFile.Read(file.Path, index) : JsonLinesFile.Read(file.Path, index)).GetEnumerator();
        while (Next(file, pieces))
        {
            yield return pieces.Current;
        }
    }

    private static bool Next(DataFile file, IEnumerator<TextPiece> pieces)
    {
        try
        {
            return pieces.MoveNext();
        }
        catch (DecoderFallbackException fault)
        {
            throw new UserException(Utf8Fault.Describe(file.Path), fault);
        }
        catch (Exception fault) when (fault is IOException or UnauthorizedAccessException)
        {
            throw new UserException($"{file.Path}: cannot be read: {fault.Message}", fault);
        }
    }
}
