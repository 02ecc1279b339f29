using System.Text.Json;
using System.Text.Unicode;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Data;

/// <summary>Reads a .jsonl file: every line an object with a string in the text field; blank lines are passed over.</summary>
internal static class JsonLinesFile
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    public static IEnumerable<TextPiece> Read(DataFile file, int index)
    {
        foreach (var (number, line) in Lines(file))
        {
            if (line.Span.IndexOfAnyExcept(" \t\r"u8) < 0)
            {
                continue;
            }

            foreach (var piece in TextPiece.Of(index, number, TextOf(line.Span, file, number)))
            {
                yield return piece;
            }
        }
    }

    private static string TextOf(ReadOnlySpan<byte> line, DataFile file, int number)
    {
        if (!Utf8.IsValid(line))
        {
            using var stream = file.Open();
            throw new UserException(StrictUtf8.DescribeFault(file.Path, stream));
        }

        try
        {
            return FindText(line, file.TextField) ?? throw new UserException(
                $"{file.Path} line {number}: the object has no field '{file.TextField}'; dataset_text_field names the one with the text");
        }
        catch (JsonException fault)
        {
            var what = fault.Message.Split(" LineNumber:")[0];
            throw new UserException($"{file.Path} line {number}, byte {fault.BytePositionInLine + 1}: not JSON: {what}", fault);
        }
        catch (Exception fault) when (fault is InvalidDataException or InvalidOperationException)
        {
            throw new UserException($"{file.Path} line {number}: {fault.Message}; a line must be an object with a string '{file.TextField}'", fault);
        }
    }

    /// <summary>The value of the outermost field of a name. The whole line is read, so that a fault anywhere is found.</summary>
    private static string? FindText(ReadOnlySpan<byte> line, string field)
    {
        var reader = new Utf8JsonReader(line);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new InvalidDataException($"the line is a JSON {Kind(reader.TokenType)}");
        }

        string? text = null;
        while (reader.Read())
        {
            if (reader.CurrentDepth == 1 && reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals(field))
            {
                if (text is not null)
                {
                    throw new InvalidDataException($"the field '{field}' is given twice");
                }

                reader.Read();
                text = reader.TokenType == JsonTokenType.String
                    ? reader.GetString()
                    : throw new InvalidDataException($"the field '{field}' is a JSON {Kind(reader.TokenType)}");
            }
        }

        return text;
    }

    private static string Kind(JsonTokenType token) => token switch
    {
        JsonTokenType.StartArray => "array",
        JsonTokenType.StartObject => "object",
        JsonTokenType.String => "string",
        JsonTokenType.Number => "number",
        JsonTokenType.Null => "null",
        _ => "truth value",
    };

    /// <summary>The lines with their numbers from 1. The bytes are valid until the next line is asked for.</summary>
    private static IEnumerable<(int Number, ReadOnlyMemory<byte> Line)> Lines(DataFile file)
    {
        using var stream = file.Open();
        var buffer = new byte[1 << 18];
        var end = stream.ReadAtLeast(buffer, ByteOrderMark.Length, throwOnEndOfStream: false);
        var start = buffer.AsSpan(0, end).StartsWith(ByteOrderMark) ? ByteOrderMark.Length : 0;
        var number = 1;
        while (true)
        {
            var feed = buffer.AsSpan(start, end - start).IndexOf((byte)'\n');
            if (feed >= 0)
            {
                yield return (number++, buffer.AsMemory(start, feed));
                start += feed + 1;
                continue;
            }

            (start, end) = MakeRoom(ref buffer, start, end, file.Path);
            var count = stream.Read(buffer, end, buffer.Length - end);
            if (count == 0)
            {
                break;
            }

            end += count;
        }

        if (end > start)
        {
            yield return (number, buffer.AsMemory(start, end - start));
        }
    }

    /// <summary>Moves the unfinished line to the front; doubles a buffer that it fills.</summary>
    private static (int Start, int End) MakeRoom(ref byte[] buffer, int start, int end, string path)
    {
        var target = end - start == buffer.Length ? new byte[TextPiece.CheckedLength(path, 2L * buffer.Length)] : buffer;
        buffer.AsSpan(start, end - start).CopyTo(target);
        buffer = target;
        return (0, end - start);
    }
}
