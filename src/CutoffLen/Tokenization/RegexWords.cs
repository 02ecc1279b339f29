using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace CutoffLen.Tokenization;

/// <summary>
/// Cuts text with one expression after the other. Each match is a word, and so is the text between two matches (Hugging
/// Face's "Isolated"). The expressions are meant for code points, but .NET matches UTF-16. A character beyond U+FFFF is
/// therefore replaced by one of the same category, so that a mathematical letter is a letter.
/// </summary>
internal sealed class RegexWords(IReadOnlyList<Regex> expressions) : PreTokenizer
{
    // Indexed by UnicodeCategory. The expressions of vocabularies name none of these characters by itself.
    private const string StandIns =
        "\u0100\u0101\u01C5\u02B0\u01BB" // letters: upper, lower, title, modifier, other
        + "\u0300\u0903\u0488" // marks: non-spacing, spacing, enclosing
        + "\u0660\u2160\u00B2" // numbers: digit, letter, other
        + "\u00A0\u2028\u2029" // separators: space, line, paragraph
        + "\u0080\u00AD\uD800\uE000" // control, format, surrogate, private use
        + "\u203F\u2010\u2045\u2046\u00AB\u00BB\u00A1" // punctuation: connector, dash, open, close, initial, final, other
        + "\u00B1\u00A2\u00A8\u00A6" // symbols: mathematical, currency, modifier, other
        + "\u0378"; // not assigned

    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\uD800', '\uDFFF'))
        {
            return Cut(text);
        }

        var (characters, starts) = OneEach(text);
        return Cut(characters).Select(word => (starts[word.Offset], starts[word.Offset + word.Length] - starts[word.Offset]));
    }

    /// <inheritdoc/>
    public override IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text) => PreTokenize(text.ToString());

    /// <summary>One UTF-16 unit for each code point, and where in the text each begins; one more for the end.</summary>
    private static (string Characters, List<int> Starts) OneEach(string text)
    {
        var characters = new StringBuilder(text.Length);
        var starts = new List<int>(text.Length + 1);
        var at = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            characters.Append(rune.IsBmp ? (char)rune.Value : StandIns[(int)CharUnicodeInfo.GetUnicodeCategory(rune.Value)]);
            starts.Add(at);
            at += rune.Utf16SequenceLength;
        }

        starts.Add(at);
        return (characters.ToString(), starts);
    }

    private List<(int Offset, int Length)> Cut(string text)
    {
        List<(int Offset, int Length)> words = [(0, text.Length)];
        foreach (var expression in expressions)
        {
            var cut = new List<(int Offset, int Length)>(words.Count);
            foreach (var (offset, length) in words)
            {
                Cut(expression, text.AsSpan(offset, length), offset, cut);
            }

            words = cut;
        }

        return words;
    }

    private static void Cut(Regex expression, ReadOnlySpan<char> text, int offset, List<(int Offset, int Length)> words)
    {
        var end = 0;
        foreach (var match in expression.EnumerateMatches(text))
        {
            Add(end, match.Index);
            Add(match.Index, match.Index + match.Length);
            end = match.Index + match.Length;
        }

        Add(end, text.Length);

        void Add(int from, int to)
        {
            if (to > from)
            {
                words.Add((offset + from, to - from));
            }
        }
    }
}
