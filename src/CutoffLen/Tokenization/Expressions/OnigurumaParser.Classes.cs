using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace CutoffLen.Tokenization.Expressions;

/// <content>Escapes and character classes.</content>
internal sealed partial class OnigurumaParser
{
    private static readonly CodePointSet LineEnds = CodePointSet.Of(('\n', '\r'), (0x85, 0x85), (0x2028, 0x2029));

    private bool ReadEscape(Options options)
    {
        at++;
        if (ReadSetEscape(options, UnicodeProperties.BareWord) is { } set)
        {
            Write(set);
            return false;
        }

        switch (Peek)
        {
            case 'A' or 'Z' or 'z':
                Write($@"\{source[at++]}");
                return true;
            case 'b':
                at++;
                WriteBoundary("(?:(?<=", ")(?!", ")|(?<!", ")(?=", "))");
                return true;
            case 'B':
                at++;
                WriteBoundary("(?:(?<=", ")(?=", ")|(?<!", ")(?!", "))");
                return true;
            case 'R' when options.LookBehind:
                throw Fault(@"\R in a look-behind"); // which Oniguruma does not find everywhere
            case 'R':
                at++;
                Write(@"(?>\r\n|");
                Write(LineEnds);
                Write(")");
                return false;
            case 'N' or 'O':
                Write(source[at++] == 'O' ? CodePointSet.All : NewLine.Complement());
                return false;
            case 'G' or 'K' or 'X' or 'y' or 'Y' or 'k' or 'g' or (>= '1' and <= '9'):
                throw Fault($@"\{Peek}");
            default:
                WriteLiteral(ReadEscapedCodePoint(), options);
                return false;
        }
    }

    /// <summary>\b and \B. .NET's count other characters as letters.</summary>
    private void WriteBoundary(params ReadOnlySpan<string> around)
    {
        Write(around[0]);
        foreach (var text in around[1..])
        {
            Write(UnicodeProperties.BareWord);
            Write(text);
        }
    }

    /// <summary>Reads what stands for a set after a backslash; null when something else follows.</summary>
    /// <param name="options">Whether case is ignored.</param>
    /// <param name="word">What \w is.</param>
    private CodePointSet? ReadSetEscape(Options options, CodePointSet word)
    {
        if (Peek is not ('w' or 'W' or 's' or 'S' or 'd' or 'D' or 'h' or 'H' or 'p' or 'P'))
        {
            return null;
        }

        var letter = source[at++];
        var (set, inverted) = char.ToLowerInvariant(letter) switch
        {
            'w' => (word, false),
            's' => (UnicodeProperties.WhiteSpace, false),
            'd' => (UnicodeProperties.Category("Nd"), false),
            'h' => (UnicodeProperties.HexDigit, false),
            _ => ReadProperty(),
        };
        set = options.IgnoreCase ? IgnoringCase(set, property: true) : set;
        return inverted ^ char.IsUpper(letter) ? set.Complement() : set;
    }

    private (CodePointSet Set, bool Inverted) ReadProperty()
    {
        // \pL is a property or the letters pL, depending on Oniguruma's version.
        var named = Take("{");
        var inverted = Take("^");
        var end = named ? source.IndexOf('}', at) : -1;
        var name = end > at ? source[at..end] : throw Fault(@"\p without a name in { }");
        var set = UnicodeProperties.Find(name) ?? throw Fault(
            $@"\p{{{name}}}; supported are general categories, POSIX brackets, and the scripts {string.Join(", ", UnicodeTables.ScriptNames)}");
        at = end + 1;
        return (set, inverted);
    }

    /// <summary>Reads a class after its [.</summary>
    private CodePointSet ReadClass(Options options)
    {
        Deepen();
        var negated = Take("^");
        var (set, intersection) = (CodePointSet.Of(), (CodePointSet?)null);
        for (var first = true; first || Peek != ']'; first = false)
        {
            // A ] that comes first is a character, unless no other ends the class.
            if (first && Peek == ']' && source.IndexOf(']', at + 1) < 0)
            {
                throw Fault("an empty class");
            }

            if (Take("&&"))
            {
                (set, intersection) = (CodePointSet.Of(), intersection?.Intersect(set) ?? set);
            }
            else
            {
                set = set.Union(ReadItem(options));
            }
        }

        at++;
        depth--;
        set = intersection?.Intersect(set) ?? set;
        return negated ? set.Complement() : set;
    }

    private CodePointSet ReadItem(Options options)
    {
        if (Bracket().Match(source, at) is { Success: true } bracket)
        {
            at += bracket.Length;
            var set = UnicodeProperties.FindBracket(bracket.Groups["name"].Value) ?? throw Fault(bracket.Value);
            set = options.IgnoreCase ? IgnoringCase(set, property: true) : set;
            return bracket.Groups["not"].Success ? set.Complement() : set;
        }

        if (Take("["))
        {
            return ReadClass(options);
        }

        if (ReadClassCharacter() is not { } first)
        {
            return ReadSetEscape(options, UnicodeProperties.Word)!;
        }

        var (last, hyphen) = (first, at);
        if (Take("-") && Peek is not (']' or '['))
        {
            last = ReadClassCharacter() ?? -1;
        }

        // A hyphen at the end or beside a set is a character.
        if (last < 0 || source[at - 1] == '-' && at == hyphen + 1)
        {
            (last, at) = (first, hyphen);
        }

        if (last < first)
        {
            throw Fault("a range in reverse order");
        }

        var range = CodePointSet.Of((first, last));
        return options.IgnoreCase ? IgnoringCase(range, property: false) : range;
    }

    /// <summary>Reads one character of a class; at a set like \w it reads the backslash only and returns null.</summary>
    private int? ReadClassCharacter()
    {
        if (!Take("\\"))
        {
            return ReadCodePoint();
        }

        return char.ToLowerInvariant(Peek) is 'w' or 's' or 'd' or 'h' or 'p' ? null : Take("b") ? '\b' : ReadEscapedCodePoint();
    }

    private int ReadEscapedCodePoint()
    {
        var escaped = ReadCodePoint();
        return escaped switch
        {
            't' => '\t',
            'n' => '\n',
            'r' => '\r',
            'f' => '\f',
            'v' => '\v',
            'a' => '\a',
            'e' => 0x1B,
            'x' when Take("{") => ReadHexadecimal(1, 8, "}"),
            'x' => AsciiOnly(ReadHexadecimal(1, 2)),
            'u' => ReadHexadecimal(4, 4),
            'c' => ReadCodePoint() & 0x1F,
            'C' when Take("-") => ReadCodePoint() & 0x1F,
            >= '0' and <= '9' or 'o' or 'M' => throw Fault($@"\{(char)escaped}"),
            _ => escaped,
        };
    }

    private int ReadHexadecimal(int least, int most, string end = "")
    {
        var digits = 0;
        while (digits < most && at + digits < source.Length && char.IsAsciiHexDigit(source[at + digits]))
        {
            digits++;
        }

        var read = int.TryParse(source.AsSpan(at, digits), NumberStyles.HexNumber, CultureInfo.InvariantCulture, out var number);
        at += digits;
        return read && digits >= least && Rune.IsValid(number) && Take(end) ? number : throw Fault("a code that is no character");
    }

    // \xHH is a byte of UTF-8.
    private int AsciiOnly(int number) => number < 0x80 ? number : throw Fault($@"\x{number:X2}, a part of a character");

    /// <summary>The set and what is equal to its members when case is ignored (Unicode's CaseFolding.txt).</summary>
    /// <param name="set">A property, or characters of the expression. Of these only ASCII's letters have a known list of equals.</param>
    /// <param name="property">Which of the two. The equals of a property's letters must have the property.</param>
    private CodePointSet IgnoringCase(CodePointSet set, bool property)
    {
        foreach (var (first, last) in set.Ranges)
        {
            for (var code = property ? first : Math.Max(first, 0x80); code <= last; code++)
            {
                if (Rune.TryCreate(code, out var rune) && !(property ? set.Contains(Upper(rune)) && set.Contains(Lower(rune)) : Upper(rune) == code && Lower(rune) == code && code is not (0xDF or (>= 0xFB00 and <= 0xFB06))))
                {
                    throw Fault($"(?i) over {rune}");
                }
            }
        }

        var equals = new List<(int, int)>();
        for (var letter = 'a'; letter <= 'z'; letter++)
        {
            if (set.Contains(letter) || set.Contains(letter - 32))
            {
                equals.AddRange([(letter, letter), (letter - 32, letter - 32)]);
            }
        }

        AddEqual('s', 0x17F);
        AddEqual('k', 0x212A);
        AddEqual(0x3B9, 0x345);
        return set.Union(CodePointSet.Of(equals));

        void AddEqual(int letter, int equal) => equals.AddRange(set.Contains(letter) || set.Contains(letter - 32) ? [(equal, equal)] : []);
    }

    private static int Upper(Rune rune) => Rune.ToUpperInvariant(rune).Value;

    private static int Lower(Rune rune) => Rune.ToLowerInvariant(rune).Value;

    [GeneratedRegex(@"\G\[:(?<not>\^)?(?<name>[a-zA-Z]+):\]")]
    private static partial Regex Bracket();
}
