using System.Globalization;

namespace CutoffLen.Tokenization.Expressions;

/// <summary>The character properties of Oniguruma's expressions, \p{...} and [[:...:]], by name.</summary>
internal static class UnicodeProperties
{
    // In the order of UnicodeCategory: short name, long name.
    private static readonly (string Short, string Long)[] Categories =
    [
        ("Lu", "UppercaseLetter"), ("Ll", "LowercaseLetter"), ("Lt", "TitlecaseLetter"), ("Lm", "ModifierLetter"), ("Lo", "OtherLetter"),
        ("Mn", "NonspacingMark"), ("Mc", "SpacingMark"), ("Me", "EnclosingMark"),
        ("Nd", "DecimalNumber"), ("Nl", "LetterNumber"), ("No", "OtherNumber"),
        ("Zs", "SpaceSeparator"), ("Zl", "LineSeparator"), ("Zp", "ParagraphSeparator"),
        ("Cc", "Control"), ("Cf", "Format"), ("Cs", "Surrogate"), ("Co", "PrivateUse"),
        ("Pc", "ConnectorPunctuation"), ("Pd", "DashPunctuation"), ("Ps", "OpenPunctuation"), ("Pe", "ClosePunctuation"),
        ("Pi", "InitialPunctuation"), ("Pf", "FinalPunctuation"), ("Po", "OtherPunctuation"),
        ("Sm", "MathSymbol"), ("Sc", "CurrencySymbol"), ("Sk", "ModifierSymbol"), ("So", "OtherSymbol"), ("Cn", "Unassigned"),
    ];

    // The groups of categories, by the letter that their short names begin with.
    private static readonly Dictionary<char, string> Groups = new()
    {
        ['L'] = "Letter", ['M'] = "Mark", ['N'] = "Number", ['Z'] = "Separator", ['C'] = "Other", ['P'] = "Punctuation", ['S'] = "Symbol",
    };

    private static readonly List<(int First, int Last)>[] Runs = ReadRuns();

    /// <summary>\s: White_Space.</summary>
    public static CodePointSet WhiteSpace { get; } = CodePointSet.Named(@"\s", [('\t', '\r'), (0x85, 0x85), .. Category("Z").Ranges]);

    /// <summary>\w: letters, marks, decimal and letter numbers, connectors, and the letters in circles and squares.</summary>
    public static CodePointSet Word { get; } = Category("L").Union(Category("M")).Union(Category("Nd")).Union(Category("Nl")).Union(Category("Pc"))
        .Union(CodePointSet.Of((0x24B6, 0x24E9), (0x1F130, 0x1F149), (0x1F150, 0x1F169), (0x1F170, 0x1F189)));

    /// <summary>\w outside of a class, and what \b is the border of: six characters of Latin-1 more, by a table of Oniguruma's.</summary>
    public static CodePointSet BareWord { get; } = Word.Union(CodePointSet.Of((0xB2, 0xB3), (0xB9, 0xB9), (0xBC, 0xBE)));

    /// <summary>\h: hexadecimal digits.</summary>
    public static CodePointSet HexDigit { get; } = CodePointSet.Of(('0', '9'), ('A', 'F'), ('a', 'f'));

    private static readonly Dictionary<string, Func<CodePointSet>> Named = new(StringComparer.OrdinalIgnoreCase)
    {
        ["Any"] = () => CodePointSet.All,
        ["Assigned"] = () => Category("Cn").Complement(),
        ["ASCII"] = () => CodePointSet.Of((0, 0x7F)),
        ["LC"] = CasedLetter,
        ["CasedLetter"] = CasedLetter,
        ["CombiningMark"] = () => Category("M"),
        ["Punct"] = () => Category("P"),
        ["Alphabetic"] = Alphabetic,
        ["Alpha"] = Alphabetic,
        ["Lowercase"] = Lowercase,
        ["Lower"] = Lowercase,
        ["Uppercase"] = Uppercase,
        ["Upper"] = Uppercase,
        ["WhiteSpace"] = () => WhiteSpace,
        ["Space"] = () => WhiteSpace,
        ["Blank"] = () => Category("Zs").Union(CodePointSet.Of(('\t', '\t'))),
        ["Cntrl"] = () => Category("Cc"),
        ["Digit"] = () => Category("Nd"),
        ["XDigit"] = () => HexDigit,
        ["Alnum"] = () => Alphabetic().Union(Category("Nd")),
        ["Word"] = () => Word,
        ["Graph"] = Graph,
        ["Print"] = () => Graph().Union(Category("Zs")),
    };

    /// <summary>The characters with this property.</summary>
    /// <param name="name">Upper and lower case, spaces, hyphens and underscores make no difference.</param>
    /// <returns>Null for a name that is not known.</returns>
    public static CodePointSet? Find(string name)
    {
        var plain = new string([.. name.Where(c => c is not (' ' or '-' or '_'))]);
        return Named.TryGetValue(plain, out var property) ? property()
            : ShortName(plain) is { } category ? Category(category)
            : UnicodeTables.Script(plain);
    }

    /// <summary>The characters of a POSIX bracket, [[:name:]]; null for a name that is none.</summary>
    public static CodePointSet? FindBracket(string name) => name switch
    {
        "punct" => Category("P").Union(Category("S")),
        "alnum" or "alpha" or "blank" or "cntrl" or "digit" or "graph" or "lower" or "print" or "space" or "upper" or "xdigit" or "word" or "ascii" => Find(name),
        _ => null,
    };

    /// <summary>The characters of a general category, or of a group of them.</summary>
    /// <param name="name">Its short name, for example Lu or L.</param>
    public static CodePointSet Category(string name)
    {
        var ranges = Categories.Index().Where(category => category.Item.Short.StartsWith(name, StringComparison.Ordinal)).SelectMany(category => Runs[category.Index]);

        // .NET's C and Cs have the surrogates, which stand for other characters here.
        return name is "C" or "Cs" ? CodePointSet.Of(ranges) : CodePointSet.Named($@"\p{{{name}}}", ranges);
    }

    private static string? ShortName(string name)
    {
        bool Is(string other) => string.Equals(name, other, StringComparison.OrdinalIgnoreCase);
        var category = Array.Find(Categories, category => Is(category.Short) || Is(category.Long));
        return category.Short ?? Groups.Where(group => Is($"{group.Key}") || Is(group.Value)).Select(group => $"{group.Key}").FirstOrDefault();
    }

    private static CodePointSet CasedLetter() => Category("Lu").Union(Category("Ll")).Union(Category("Lt"));

    private static CodePointSet Alphabetic() => Category("L").Union(Category("Nl")).Union(UnicodeTables.Property("OtherAlphabetic"));

    private static CodePointSet Lowercase() => Category("Ll").Union(UnicodeTables.Property("OtherLowercase"));

    private static CodePointSet Uppercase() => Category("Lu").Union(UnicodeTables.Property("OtherUppercase"));

    private static CodePointSet Graph() => WhiteSpace.Union(Category("Cc")).Union(Category("Cn")).Union(Category("Cs")).Complement();

    private static List<(int First, int Last)>[] ReadRuns()
    {
        var runs = Array.ConvertAll(Categories, _ => new List<(int First, int Last)>());
        for (var (first, next) = (0, 1); first <= CodePointSet.Last; first = next++)
        {
            var category = CharUnicodeInfo.GetUnicodeCategory(first);
            while (next <= CodePointSet.Last && CharUnicodeInfo.GetUnicodeCategory(next) == category)
            {
                next++;
            }

            runs[(int)category].Add((first, next - 1));
        }

        return runs;
    }
}
