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
                return Each(WithoutMarks);
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

    private static Func<TextPart, TextPart> Each(Func<string, string> change) => piece => new TextPart(change(piece.Text), piece.First);

    /// <summary>What is left of a text that loses its beginning is not its beginning.</summary>
    private static Func<TextPart, TextPart> Strip(bool left, bool right) => piece =>
    {
        var stripped = left ? piece.Text.TrimStart() : piece.Text;
        return new TextPart(right ? stripped.TrimEnd() : stripped, piece.First && stripped.Length == piece.Text.Length);
    };

    private static Func<TextPart, TextPart> Replace(JsonPart pattern, string content)
    {
        if (pattern["String"].Text() is { Length: > 0 } text)
        {
            return piece => new TextPart(
                piece.Text.Replace(text, content, StringComparison.Ordinal),
                piece.First && (content.Length > 0 || !piece.Text.StartsWith(text, StringComparison.Ordinal)));
        }

        var regex = new OnigurumaRegex(pattern["Regex"].Text() ?? throw new InvalidDataException($"{pattern.Path} is {pattern}; allowed is a Regex or a String"));
        return piece => new TextPart(
            regex.Replace(piece.Text, content),
            piece.First && (content.Length > 0 || regex.Matches(piece.Text) is not [(0, > 0), ..]));
    }

    /// <summary>Character by character, as Rust's char::to_lowercase: a final sigma is none, U+0130 becomes two.</summary>
    private static string Lowercase(string text) => Ascii.IsValid(text)
        ? text.ToLowerInvariant()
        : string.Concat(text.EnumerateRunes().Select(rune => rune.Value == 0x130 ? "i\u0307" : Rune.ToLowerInvariant(rune).ToString()));

    private static string WithoutMarks(string text) =>
        string.Concat(text.EnumerateRunes().Where(rune => Rune.GetUnicodeCategory(rune) is not (
            UnicodeCategory.NonSpacingMark or UnicodeCategory.SpacingCombiningMark or UnicodeCategory.EnclosingMark)));
}
