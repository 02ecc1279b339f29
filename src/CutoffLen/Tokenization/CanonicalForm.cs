using System.Globalization;
using System.Text;

namespace CutoffLen.Tokenization;

/// <summary>
/// Unicode's normalization form C (UAX #15): the program runs without ICU, where .NET's own leaves text as it is.
/// Characters are decomposed, marks brought into order, and pairs composed again.
/// </summary>
internal sealed class CanonicalForm
{
    // Hangul syllables: 19 leading consonants, 21 vowels, 27 trailing consonants or none (Unicode chapter 3.12).
    private const int Syllables = 0xAC00, Leading = 0x1100, Vowels = 0x1161, Trailing = 0x11A7, VowelCount = 21, TrailingCount = 28;
    private const int SyllableCount = 19 * VowelCount * TrailingCount;

    private static readonly Lazy<CanonicalForm> Lazy = new(() => new CanonicalForm());

    private readonly Dictionary<int, (int First, int Second)> decompositions = [];
    private readonly Dictionary<(int First, int Second), int> compositions = [];
    private readonly Dictionary<int, int> classes = [];

    private CanonicalForm()
    {
        using var stream = typeof(CanonicalForm).Assembly.GetManifestResourceStream("canonical.txt")!;
        using var reader = new StreamReader(stream);
        while (reader.ReadLine() is { } line)
        {
            Read(line.Split(' '));
        }
    }

    private void Read(string[] words)
    {
        switch (words)
        {
            case ["d" or "x", var code, var first, .. var second]:
                var pair = (Hex(first), second.Length > 0 ? Hex(second[0]) : -1);
                decompositions.Add(Hex(code), pair);
                if (words[0] == "d")
                {
                    compositions.Add(pair, Hex(code));
                }

                break;
            case ["c", var range, var value]:
                var ends = range.Split('-');
                for (var code = Hex(ends[0]); code <= Hex(ends[1]); code++)
                {
                    classes.Add(code, int.Parse(value, CultureInfo.InvariantCulture));
                }

                break;
        }
    }

    private static int Hex(string text) => int.Parse(text, NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    /// <summary>The text in form C.</summary>
    public static string Of(string text)
    {
        // Nothing below U+0300 combines with what comes before it.
        return text.AsSpan().ContainsAnyInRange('\u0300', char.MaxValue) ? Lazy.Value.Normalize(text) : text;
    }

    private string Normalize(string text)
    {
        var characters = new List<(int Code, int Class)>(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            Decompose(rune.Value, characters);
        }

        Order(characters);
        Compose(characters);
        var result = new StringBuilder(text.Length);
        foreach (var (code, _) in characters)
        {
            result.Append(new Rune(code).ToString());
        }

        return result.ToString();
    }

    private void Decompose(int code, List<(int Code, int Class)> into)
    {
        var syllable = code - Syllables;
        if (syllable is >= 0 and < SyllableCount)
        {
            into.Add((Leading + (syllable / (VowelCount * TrailingCount)), 0));
            into.Add((Vowels + (syllable % (VowelCount * TrailingCount) / TrailingCount), 0));
            if (syllable % TrailingCount != 0)
            {
                into.Add((Trailing + (syllable % TrailingCount), 0));
            }
        }
        else if (decompositions.TryGetValue(code, out var pair))
        {
            Decompose(pair.First, into);
            if (pair.Second >= 0)
            {
                Decompose(pair.Second, into);
            }
        }
        else
        {
            into.Add((code, classes.GetValueOrDefault(code)));
        }
    }

    /// <summary>Sorts each run of marks by class, equal ones in their order.</summary>
    private static void Order(List<(int Code, int Class)> characters)
    {
        for (var begin = 0; begin < characters.Count; begin++)
        {
            var end = begin;
            while (end < characters.Count && characters[end].Class != 0)
            {
                end++;
            }

            if (end - begin > 1)
            {
                var sorted = characters.GetRange(begin, end - begin).OrderBy(mark => mark.Class).ToList();
                for (var i = 0; i < sorted.Count; i++)
                {
                    characters[begin + i] = sorted[i];
                }
            }

            begin = end;
        }
    }

    private void Compose(List<(int Code, int Class)> characters)
    {
        var (kept, starter, lastClass) = (0, -1, 0);
        foreach (var (code, combining) in characters.ToArray())
        {
            // A mark reaches the starter unless one of its own class or above stands between them.
            var isNext = starter == kept - 1;
            if (starter >= 0 && (isNext || (lastClass != 0 && lastClass < combining)) && Joined(characters[starter].Code, code) is { } joined)
            {
                characters[starter] = (joined, 0);
                continue;
            }

            if (combining == 0)
            {
                starter = kept;
            }

            lastClass = combining;
            characters[kept++] = (code, combining);
        }

        characters.RemoveRange(kept, characters.Count - kept);
    }

    private int? Joined(int first, int second)
    {
        if (first - Leading is >= 0 and < 19 && second - Vowels is >= 0 and < VowelCount)
        {
            return Syllables + ((((first - Leading) * VowelCount) + (second - Vowels)) * TrailingCount);
        }

        if (first - Syllables is >= 0 and < SyllableCount && (first - Syllables) % TrailingCount == 0 && second - Trailing is > 0 and < TrailingCount)
        {
            return first + (second - Trailing);
        }

        return compositions.TryGetValue((first, second), out var code) ? code : null;
    }
}
