using System.Text.Json;
using System.Text.Unicode;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Data;

/// <summary>
/// Reads a .jsonl file: every line an object with a string in the text field, or with a <c>prompt</c> and a <c>completion</c> as in
/// TRL's data sets; blank lines are passed over.
/// </summary>
internal static class JsonLinesFile
{
    private static ReadOnlySpan<byte> ByteOrderMark => [0xEF, 0xBB, 0xBF];

    public static IEnumerable<TextPiece> Read(DataFile file, int index)
    {
        foreach (var (number, line) in Lines(file))
        {
            var (text, prompt) = Parsed(line, file, number, bytes => FindDocument(bytes, file.TextField), $"a string '{file.TextField}', or strings 'prompt' and 'completion'");
            if (prompt is not null)
            {
                yield return new TextPiece(index, number, text, Begins: true, Ends: true, prompt);
                continue;
            }

            foreach (var piece in TextPiece.Of(index, number, text))
            {
                yield return piece;
            }
        }
    }

    /// <summary>The values of fields that every line has as strings, with file and line.</summary>
    public static IEnumerable<(string Source, string[] Values)> ReadFields(DataFile file, IReadOnlyList<string> fields)
    {
        var wanted = $"strings {string.Join(" and ", fields.Select(field => $"'{field}'"))}";
        foreach (var (number, line) in Lines(file))
        {
            yield return (file.Describe(number), Parsed(line, file, number, Values, wanted));
        }

        string[] Values(ReadOnlyMemory<byte> line) =>
            [.. fields.Select(field => FindString(line.Span, field) ?? throw new InvalidDataException($"the object has no field '{field}'"))];
    }

    private static T Parsed<T>(ReadOnlyMemory<byte> line, DataFile file, int number, Func<ReadOnlyMemory<byte>, T> parse, string wanted)
    {
        if (!Utf8.IsValid(line.Span))
        {
            using var stream = file.Open();
            throw new UserException(StrictUtf8.DescribeFault(file.Path, stream));
        }

        try
        {
            return parse(line);
        }
        catch (JsonException fault)
        {
            var what = fault.Message.Split(" LineNumber:")[0];
            throw new UserException($"{file.Path} line {number}, byte {fault.BytePositionInLine + 1}: not JSON: {what}", fault);
        }
        catch (Exception fault) when (fault is InvalidDataException or InvalidOperationException)
        {
            throw new UserException($"{file.Path} line {number}: {fault.Message}; a line must be an object with {wanted}", fault);
        }
    }

    /// <summary>The text of a line and, of a record, the characters of its prompt. A field that the user names is meant alone.</summary>
    private static (string Text, int? Prompt) FindDocument(ReadOnlyMemory<byte> line, string textField)
    {
        var text = FindString(line.Span, textField);
        if (text is not null && (textField != DataFile.StandardTextField || line.Span.IndexOf("\"completion\""u8) < 0))
        {
            return (text, null);
        }

        return (text, FindString(line.Span, "prompt"), FindString(line.Span, "completion")) switch
        {
            (null, null, null) => throw new InvalidDataException($"the object has no field '{textField}'; dataset_text_field names the one with the text"),
            (null, { } prompt, { } completion) => (prompt + completion, prompt.Length),
            ({ } alone, null, _) => (alone, null),
            ({ } alone, _, null) => (alone, null),
            (null, var prompt, _) => throw new InvalidDataException($"the object has a '{(prompt is null ? "completion" : "prompt")}' without a '{(prompt is null ? "prompt" : "completion")}'"),
            _ => throw new InvalidDataException("the object has a 'text' beside 'prompt' and 'completion', and only one of both can be meant"),
        };
    }

    /// <summary>The value of an outermost field. The whole line is read, so that a fault anywhere is found.</summary>
    private static string? FindString(ReadOnlySpan<byte> line, string field)
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

    /// <summary>The lines that are not blank, with their numbers from 1. The bytes are valid until the next line is asked for.</summary>
    private static IEnumerable<(int Number, ReadOnlyMemory<byte> Line)> Lines(DataFile file) =>
        AllLines(file).Where(line => line.Line.Span.IndexOfAnyExcept(" \t\r"u8) >= 0);

    private static IEnumerable<(int Number, ReadOnlyMemory<byte> Line)> AllLines(DataFile file)
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
