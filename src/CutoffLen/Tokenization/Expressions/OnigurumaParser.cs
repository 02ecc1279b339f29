using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using CutoffLen.Files;

namespace CutoffLen.Tokenization.Expressions;

/// <summary>
/// Reads an expression in Oniguruma's default syntax (its doc/RE), which Hugging Face's tokenizers use, and writes it in
/// .NET's. Every character set becomes a <see cref="CodePointSet"/>. What has no exact translation is an error.
/// </summary>
internal sealed partial class OnigurumaParser
{
    private static readonly CodePointSet NewLine = CodePointSet.Of(('\n', '\n'));

    // What a letter sequence is equal to when case is ignored: U+00DF, U+FB00 to U+FB06.
    private static readonly string[] OneLetterForTwo = ["ss", "ff", "fi", "fl", "st"];

    // Deeper ones would take more stack than a thread has.
    private const int DeepestNesting = 200;

    private readonly string source;
    private readonly List<object> output = [];
    private int at;
    private int depth;
    private char letterBefore;

    private OnigurumaParser(string source) => this.source = source;

    private readonly record struct Options(bool IgnoreCase, bool DotMatchesNewLine, bool Extended, bool LookBehind = false);

    /// <summary>The expression as .NET's text and sets of one character each.</summary>
    /// <returns>Each item is a <see cref="string"/> or a <see cref="CodePointSet"/>.</returns>
    /// <exception cref="InvalidDataException">It is none, or has something that is not supported; the message names it.</exception>
    public static IReadOnlyList<object> Parse(string expression)
    {
        var parser = new OnigurumaParser(expression);
        parser.ReadAlternatives(default);
        return parser.AtEnd ? parser.output : throw parser.Fault("a ) without its (");
    }

    private bool AtEnd => at >= source.Length;

    private char Peek => AtEnd ? '\0' : source[at];

    /// <summary>Reads up to the end of the group, or of the expression.</summary>
    /// <returns>Whether it can match nothing.</returns>
    private bool ReadAlternatives(Options options)
    {
        Deepen();
        var (any, alternative) = (false, true);
        while (!AtEnd && Peek != ')')
        {
            if (options.Extended && SkipComment())
            {
                continue;
            }

            if (Take("|"))
            {
                Write("|");
                (any, alternative) = (any || alternative, true);
                continue;
            }

            var start = output.Count;
            var mayBeEmpty = ReadAtom(options);
            alternative &= ReadQuantifiers(start, mayBeEmpty);
        }

        depth--;
        return any || alternative;
    }

    private void Deepen()
    {
        if (++depth > DeepestNesting)
        {
            throw Fault($"more than {DeepestNesting} groups or classes in each other");
        }
    }

    private bool SkipComment()
    {
        if (Take("#"))
        {
            at = source.IndexOf('\n', at) is >= 0 and var end ? end + 1 : source.Length;
            return true;
        }

        return char.IsWhiteSpace(Peek) && ++at > 0;
    }

    private bool ReadAtom(Options options)
    {
        switch (Peek)
        {
            case '(':
                return ReadGroup(options);
            case '[':
                at++;
                Write(ReadClass(options));
                return false;
            case '.':
                at++;
                Write(options.DotMatchesNewLine ? CodePointSet.All : NewLine.Complement());
                return false;
            case '^':
                at++;
                Write(@"(?:\A|(?<=\n)(?!\z))");
                return true;
            case '$':
                at++;
                Write(@"(?=\n|\z)");
                return true;
            case '\\':
                return ReadEscape(options);
            case '*' or '+' or '?':
                throw Fault($"a {Peek} that follows nothing");
            default:
                WriteLiteral(ReadCodePoint(), options);
                return false;
        }
    }

    private bool ReadGroup(Options options)
    {
        at++;
        if (Take("?#"))
        {
            at = source.IndexOf(')', at) is >= 0 and var end ? end + 1 : throw Fault("a comment without its )");
            return true;
        }

        if (At("*") || At("?{") || At("?~") || At("?(") || At("?P"))
        {
            throw Fault($"({source.AsSpan(at, Math.Min(2, source.Length - at))}");
        }

        var mayBeEmpty = false;
        if (GroupOptions().Match(source, at) is { Success: true } match)
        {
            at += match.Length;
            var changed = Changed(options, match);
            Write("(?:");
            mayBeEmpty = ReadAlternatives(changed);

            // Options without a colon hold up to the end of the group around them.
            Close(ends: match.Groups["colon"].Success);
            return mayBeEmpty;
        }

        // Groups capture nothing: no reference to them is supported.
        var opening = GroupOpening().Match(source, at);
        at += opening.Length;
        Write(opening.Value is "" or ['?', '<' or '\'', not ('=' or '!'), ..] ? "(?:" : "(" + opening.Value);
        mayBeEmpty = ReadAlternatives(options with { LookBehind = options.LookBehind || opening.Value is "?<=" or "?<!" });
        Close(ends: true);
        return mayBeEmpty || opening.Value is "?=" or "?!" or "?<=" or "?<!";
    }

    private void Close(bool ends)
    {
        if (ends && !Take(")"))
        {
            throw Fault("a ( without its )");
        }

        Write(")");
    }

    private Options Changed(Options options, Match match)
    {
        if (match.Groups["on"].ValueSpan.ContainsAnyExcept("imx") || match.Groups["off"].ValueSpan.ContainsAnyExcept("imx"))
        {
            throw Fault($"({match.Value}, whose options may be i, m and x");
        }

        bool Now(char letter, bool before) =>
            !match.Groups["off"].Value.Contains(letter) && (before || match.Groups["on"].Value.Contains(letter));
        return options with
        {
            IgnoreCase = Now('i', options.IgnoreCase),
            DotMatchesNewLine = Now('m', options.DotMatchesNewLine),
            Extended = Now('x', options.Extended),
        };
    }

    /// <summary>Reads what follows an atom.</summary>
    /// <param name="start">Index of the atom in the output.</param>
    /// <param name="mayBeEmpty">Whether the atom can match nothing.</param>
    /// <returns>Whether it still can.</returns>
    private bool ReadQuantifiers(int start, bool mayBeEmpty)
    {
        for (var quantified = false; Quantifier().Match(source, at) is { Success: true } match; quantified = true)
        {
            at += match.Length;
            if (quantified)
            {
                Enclose(start, "(?:");
            }

            // When empty repeats end differs from Oniguruma, and some never end in .NET.
            var (text, interval) = (match.Value, match.Groups["interval"].Success);
            if (mayBeEmpty && text is not "?")
            {
                throw Fault("a repeat of what can match nothing");
            }

            // {n}+ is no possessive {n} but repeats it, and {n}? is no reluctant {n} but makes it optional.
            if (!interval && Take("+"))
            {
                Write(text);
                Enclose(start, "(?>");
            }
            else
            {
                var reluctant = (!interval || text.Contains(',')) && Take("?");
                Write(text.Replace("{,", "{0,", StringComparison.Ordinal) + (reluctant ? "?" : ""));
            }

            mayBeEmpty |= text is "*" or "?" or ['{', '0' or ',', ..];
        }

        return mayBeEmpty;
    }

    private void Enclose(int start, string opening)
    {
        output.Insert(start, opening);
        Write(")");
    }

    private void WriteLiteral(int codePoint, Options options)
    {
        if (options.IgnoreCase)
        {
            var letter = codePoint < 0x80 ? char.ToLowerInvariant((char)codePoint) : '\0';
            if (OneLetterForTwo.Contains($"{letterBefore}{letter}"))
            {
                throw Fault($"(?i) over {letterBefore}{letter}, which one letter is equal to");
            }

            Write(IgnoringCase(Single(codePoint), property: false));
            letterBefore = letter;
        }
        else if (codePoint <= char.MaxValue)
        {
            Write(Regex.Escape($"{(char)codePoint}"));
        }
        else
        {
            Write(Single(codePoint));
        }
    }

    private void Write(object item)
    {
        output.Add(item);
        letterBefore = '\0';
    }

    private int ReadCodePoint()
    {
        if (AtEnd)
        {
            throw Fault("an end in the middle");
        }

        _ = Rune.DecodeFromUtf16(source.AsSpan(at), out var rune, out var length);
        at += length;
        return rune.Value;
    }

    private static CodePointSet Single(int codePoint) => CodePointSet.Of((codePoint, codePoint));

    private bool At(string text) => string.CompareOrdinal(source, at, text, 0, text.Length) == 0;

    private bool Take(string text)
    {
        var taken = At(text);
        at += taken ? text.Length : 0;
        return taken;
    }

    private InvalidDataException Fault(string what) =>
        new($"the expression {JsonFile.Show(source)} has {what} (character {Math.Min(at, source.Length).ToString(CultureInfo.InvariantCulture)}), which is not supported");

    [GeneratedRegex(@"\G\?(?<on>[a-zA-Z]*)(?:-(?<off>[a-zA-Z]*))?(?:(?<colon>:)|\))")]
    private static partial Regex GroupOptions();

    [GeneratedRegex(@"\G(?:\?(?:[=!>]|<[=!]|<\w+>|'\w+'))?")]
    private static partial Regex GroupOpening();

    [GeneratedRegex(@"\G(?:[*+?]|(?<interval>\{(?:[0-9]+(?:,[0-9]*)?|,[0-9]+)\}))")]
    private static partial Regex Quantifier();
}
