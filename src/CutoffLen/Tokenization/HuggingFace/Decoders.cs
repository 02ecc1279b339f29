using System.Globalization;
using System.Text;
using System.Text.Unicode;
using CutoffLen.Files;
using CutoffLen.Tokenization.Expressions;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>The decoder of a tokenizer.json: how tokens, as the vocabulary spells them, become text.</summary>
internal static class Decoders
{
    /// <summary>Reads it.</summary>
    /// <returns>The steps, in order; the text is what they leave, joined.</returns>
    public static IEnumerable<Func<IEnumerable<string>, IEnumerable<string>>> Read(JsonPart part) =>
        part.IsNull ? [tokens => [string.Join(' ', tokens)]]
        : part["type"].Text() == "Sequence" ? part["decoders"].Items().SelectMany(Read)
        : [ReadStep(part)];

    private static Func<IEnumerable<string>, IEnumerable<string>> ReadStep(JsonPart step)
    {
        switch (step["type"].Text())
        {
            case "ByteLevel":
                return ByteLevel;
            case "ByteFallback":
                return ByteFallback;
            case "Fuse":
                return Fuse;
            case "Metaspace":
                return Metaspace(MetaspaceSettings.Read(step));
            case "Strip" when step["content"].Text() is [var content]:
                return Strip(content, Count(step["start"]), Count(step["stop"]));
            case "Replace" when step["content"].Text() is { } content:
                return Replace(step["pattern"], content);
            default:
                throw new InvalidDataException(
                    $"{step.Path} is {step}; supported are ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip and a Sequence of them");
        }
    }

    private static int Count(JsonPart part) => part.IsNull ? 0 : part.Id();

    /// <summary>All tokens as one.</summary>
    public static IEnumerable<string> Fuse(IEnumerable<string> tokens) => [string.Concat(tokens)];

    /// <summary>Tokens of GPT-2's byte alphabet as UTF-8.</summary>
    public static IEnumerable<string> ByteLevel(IEnumerable<string> tokens) =>
        [Encoding.UTF8.GetString([.. tokens.SelectMany(ByteAlphabet.Decode)])];

    /// <summary>Neighbouring byte tokens, &lt;0x00&gt; to &lt;0xFF&gt;, as UTF-8; U+FFFD for each of them where they are none.</summary>
    public static IEnumerable<string> ByteFallback(IEnumerable<string> tokens)
    {
        var bytes = new List<byte>();
        foreach (var token in tokens)
        {
            if (ByteOf(token) is { } value)
            {
                bytes.Add(value);
                continue;
            }

            foreach (var character in Flush())
            {
                yield return character;
            }

            yield return token;
        }

        foreach (var character in Flush())
        {
            yield return character;
        }

        string[] Flush()
        {
            byte[] run = [.. bytes];
            bytes.Clear();
            return run.Length == 0 ? [] : Utf8.IsValid(run) ? [Encoding.UTF8.GetString(run)] : [.. run.Select(_ => "\uFFFD")];
        }
    }

    /// <summary>Removes a character, up to some times, from both ends of each token.</summary>
    /// <param name="content">The character.</param>
    /// <param name="start">Most that are removed at the beginning.</param>
    /// <param name="stop">Most that are removed at the end.</param>
    public static Func<IEnumerable<string>, IEnumerable<string>> Strip(char content, int start, int stop) => tokens => tokens.Select(token =>
    {
        var from = 0;
        while (from < Math.Min(start, token.Length) && token[from] == content)
        {
            from++;
        }

        var to = token.Length;
        while (to > from && token.Length - to < stop && token[to - 1] == content)
        {
            to--;
        }

        return token[from..to];
    });

    /// <summary>A text in place of another, in each token.</summary>
    public static Func<IEnumerable<string>, IEnumerable<string>> Replace(string text, string replacement) =>
        tokens => tokens.Select(token => token.Replace(text, replacement, StringComparison.Ordinal));

    /// <summary>The byte of a byte token; null for any other.</summary>
    public static byte? ByteOf(string token) =>
        token is ['<', '0', 'x', var high, var low, '>'] && char.IsAsciiHexDigit(high) && char.IsAsciiHexDigit(low)
            ? byte.Parse(token.AsSpan(3, 2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)
            : null;

    private static Func<IEnumerable<string>, IEnumerable<string>> Replace(JsonPart pattern, string content)
    {
        if (pattern["String"].Text() is { Length: > 0 } text)
        {
            return Replace(text, content);
        }

        var regex = new OnigurumaRegex(pattern["Regex"].Text() ?? throw new InvalidDataException($"{pattern.Path} is {pattern}; allowed is a Regex or a String"));
        return tokens => tokens.Select(token => regex.Replace(token, content));
    }

    /// <summary>Spaces again; those of the first token were put there.</summary>
    private static Func<IEnumerable<string>, IEnumerable<string>> Metaspace(MetaspaceSettings settings) => tokens => tokens.Select((token, at) =>
        token.Replace($"{settings.Replacement}", at == 0 && settings.Scheme != PrependScheme.Never ? "" : " ", StringComparison.Ordinal));
}
