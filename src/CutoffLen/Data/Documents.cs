using System.Text;
using CutoffLen.Common;
using CutoffLen.Files;
using ParquetSharp;

namespace CutoffLen.Data;

/// <summary>
/// Reads documents in order and in constant memory: one piece of about a million characters, the longest line, and the text
/// column of a row group, compressed.
/// Text is UTF-8, with or without a byte order mark. Invalid bytes are an error that names the line. In .txt files
/// Windows line ends (CR LF) become LF, as in Python's text mode. The strings of .jsonl lines are taken as written.
/// </summary>
public static class Documents
{
    /// <summary>The pieces of the documents of all files.</summary>
    /// <param name="files">The files, in order.</param>
    /// <param name="most">Stops after so many documents with text; null for all.</param>
    /// <exception cref="UserException">
    /// While enumerating: a file that cannot be read, is not UTF-8, or a line that is not an object with a text.
    /// </exception>
    public static IEnumerable<TextPiece> Read(IReadOnlyList<DataFile> files, int? most = null)
    {
        var (count, hasText) = (0, false);
        foreach (var piece in files.SelectMany(Read))
        {
            yield return piece;
            hasText = hasText || !piece.Learned.IsWhiteSpace();
            if (piece.Ends)
            {
                count += hasText ? 1 : 0;
                hasText = false;
                if (count == most)
                {
                    yield break;
                }
            }
        }
    }

    /// <summary>The values of fields that every line of .jsonl files has as strings, line by line with file and line for messages.</summary>
    /// <exception cref="UserException">
    /// While enumerating: a file that is no .jsonl or cannot be read, or a line without the fields.
    /// </exception>
    public static IEnumerable<(string Source, string[] Values)> ReadFields(IReadOnlyList<DataFile> files, IReadOnlyList<string> fields)
    {
        foreach (var file in files)
        {
            if (file.Format != DataFormat.JsonLines)
            {
                throw new UserException($"{file.Path}: a .jsonl file is needed, whose lines have the fields {string.Join(" and ", fields)}");
            }

            using var lines = JsonLinesFile.ReadFields(file, fields).GetEnumerator();
            while (Next(file, lines))
            {
                yield return lines.Current;
            }
        }
    }

    private static IEnumerable<TextPiece> Read(DataFile file, int index)
    {
        using var pieces = (file.Format switch
        {
            DataFormat.Text => TextFile.Read(file, index),
            DataFormat.JsonLines => JsonLinesFile.Read(file, index),
            _ => ParquetFile.Read(file, index),
        }).GetEnumerator();
        while (Next(file, pieces))
        {
            yield return pieces.Current;
        }
    }

    private static bool Next<T>(DataFile file, IEnumerator<T> items)
    {
        try
        {
            return items.MoveNext();
        }
        catch (DecoderFallbackException fault)
        {
            using var stream = file.Open();
            throw new UserException(StrictUtf8.DescribeFault(file.Path, stream), fault);
        }
        catch (Exception fault) when (fault is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            throw new UserException($"{file.Path}: cannot be read: {fault.Message}", fault);
        }
        catch (ParquetException fault)
        {
            throw new UserException($"{file.Path}: cannot be read as Parquet: {ParquetFile.Words(fault)}", fault);
        }
    }
}
