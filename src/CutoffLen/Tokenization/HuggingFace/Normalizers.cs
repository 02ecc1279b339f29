using System.Buffers;
using System.Globalization;
using System.Text;
using CutoffLen.Files;
using CutoffLen.Tokenization.Expressions;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>The normalizer of a tokenizer.json: what text is changed to before it is cut into words.</summary>
internal static class Normalizers
{
    /// <summary>Reads it.</summary>
    /// <returns>The steps, in order; none when the file has no normalizer.</returns>
    public static IEnumerable<Func<TextPart, TextPart>> Read(JsonPart part) =>
        part.IsNull ? []
        : part["type"].Text() == "Sequence" ? part["normalizers"].Items().SelectMany(Read)
        : [ReadStep(part)];

    private static Func<TextPart, TextPart> ReadStep(JsonPart step)
    {
        switch (step["type"].Text())
        {
            case "NFC" or "NFD" or "NFKC" or "NFKD":
                return Each(UnicodeForms.To(step["type"].Text()!));
            case "Lowercase":
                return Each(Lowercase);
            case "StripAccents":
                return WithoutMarks;
            case "ByteLevel":
                return Each(ByteAlphabet.Encode);
            case "Strip":
                return Strip(step["strip_left"].Flag(), step["strip_right"].Flag());
            case "Prepend" when step["prepend"].Text() is { } prefix:
                return Each(text => text.Length > 0 ? prefix + text : text);
            case "Replace" when step["content"].Text() is { } content:
                return Replace(step["pattern"], content);
            default:
                throw new InvalidDataException(
                    $"{step.Path} is {step}; supported are NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, Replace, ByteLevel and a Sequence of them");
        }
    }

    private static Func<TextPart, TextPart> Each(Func<string, string> change) => part => new TextPart(change(part.Text), part.First);

    /// <summary>What is left of a text that loses its beginning is not its beginning.</summary>
    private static Func<TextPart, TextPart> Strip(bool left, bool right) => part =>
    {
        var stripped = left ? part.Text.TrimStart() : part.Text;
        return new TextPart(right ? stripped.TrimEnd() : stripped, part.First && stripped.Length == part.Text.Length);
    };

    private static Func<TextPart, TextPart> Replace(JsonPart pattern, string content)
    {
        if (pattern["String"].Text() is { Length: > 0 } text)
        {
            return part => new TextPart(
                part.Text.Replace(text, content, StringComparison.Ordinal),
                part.First && (content.Length > 0 || !part.Text.StartsWith(text, StringComparison.Ordinal)));
        }

        var regex = new OnigurumaRegex(pattern["Regex"].Text() ?? throw new InvalidDataException($"{pattern.Path} is {pattern}; allowed is a Regex or a String"));
        return part => new TextPart(
            regex.Replace(part.Text, content),
            part.First && (content.Length > 0 || regex.Matches(part.Text) is not [(0, > 0), ..]));
    }

    /// <summary>Character by character, as Rust's char::to_lowercase: a final sigma is none, U+0130 becomes two.</summary>
    private static string Lowercase(string text) => Ascii.IsValid(text)
        ? text.ToLowerInvariant()
        : string.Concat(text.EnumerateRunes().Select(rune => rune.Value == 0x130 ? "i\u0307" : Rune.ToLowerInvariant(rune).ToString()));

    private static TextPart WithoutMarks(TextPart part)
    {
        var kept = string.Concat(part.Text.EnumerateRunes().Where(rune => !IsMark(rune)));
        return new TextPart(kept, part.First && !(Rune.DecodeFromUtf16(part.Span, out var first, out _) == OperationStatus.Done && IsMark(first)));
    }

    private static bool IsMark(Rune rune) => Rune.GetUnicodeCategory(rune) is
        UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark;
}
