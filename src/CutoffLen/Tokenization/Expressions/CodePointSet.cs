using System.Text;

namespace CutoffLen.Tokenization.Expressions;

/// <summary>
/// A set of Unicode code points. .NET's expressions read UTF-16 units and have no intersection, so the sets of an expression
/// are computed here.
/// </summary>
internal sealed class CodePointSet
{
    /// <summary>The last code point.</summary>
    public const int Last = 0x10FFFF;

    // Ascending, without overlap or contact.
    private readonly (int First, int Last)[] ranges;

    private CodePointSet(IEnumerable<(int First, int Last)> ranges, string? spelling)
    {
        this.ranges = [.. ranges];
        Spelling = spelling;
    }

    /// <summary>Every code point.</summary>
    public static CodePointSet All { get; } = Of((0, Last));

    /// <summary>
    /// .NET's spelling of the members up to U+FFFF, for use inside [ ]; null where they are spelled by their ranges.
    /// </summary>
    public string? Spelling { get; }

    /// <summary>What this set was made of by <see cref="Complement"/>, or null.</summary>
    public CodePointSet? Inverse { get; private init; }

    /// <summary>The ranges, ascending.</summary>
    public IReadOnlyList<(int First, int Last)> Ranges => ranges;

    /// <summary>The set of these ranges, in any order.</summary>
    public static CodePointSet Of(params IEnumerable<(int First, int Last)> ranges)
    {
        var joined = Join(ranges);
        return new CodePointSet(joined, Spell(joined));
    }

    /// <summary>The set that .NET has a name for, for example \p{L}.</summary>
    /// <param name="spelling">The name. It must mean the same for every character up to U+FFFF but the surrogates.</param>
    /// <param name="ranges">The members.</param>
    public static CodePointSet Named(string spelling, IEnumerable<(int First, int Last)> ranges) => new(Join(ranges), spelling);

    /// <summary>Whether the set has a code point.</summary>
    public bool Contains(int codePoint)
    {
        var (low, high) = (0, ranges.Length - 1);
        while (low <= high)
        {
            var middle = (low + high) / 2;
            if (codePoint < ranges[middle].First)
            {
                high = middle - 1;
            }
            else if (codePoint > ranges[middle].Last)
            {
                low = middle + 1;
            }
            else
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The members of either set.</summary>
    public CodePointSet Union(CodePointSet other) =>
        new(Join(ranges.Concat(other.ranges)), Spelling is null || other.Spelling is null ? null : Spelling + other.Spelling);

    /// <summary>The members of both sets.</summary>
    public CodePointSet Intersect(CodePointSet other) => Complement().Union(other.Complement()).Complement();

    /// <summary>All other code points.</summary>
    public CodePointSet Complement()
    {
        var gaps = new List<(int, int)>();
        var next = 0;
        foreach (var (first, last) in ranges)
        {
            if (first > next)
            {
                gaps.Add((next, first - 1));
            }

            next = last + 1;
        }

        if (next <= Last)
        {
            gaps.Add((next, Last));
        }

        return new CodePointSet(gaps, spelling: null) { Inverse = this };
    }

    /// <summary>A .NET expression that matches one UTF-16 unit.</summary>
    /// <param name="standIns">The units that stand for the members of a set beyond U+FFFF.</param>
    public string ToExpression(Func<CodePointSet, string> standIns)
    {
        var negated = Inverse is { Spelling: not null };
        var set = negated ? Inverse! : this;
        var content = (set.Spelling ?? Spell(set.ranges)) + standIns(set);
        return content.Length > 0 ? $"[{(negated ? "^" : "")}{content}]" : negated ? @"[\s\S]" : "(?!)";
    }

    /// <summary>The ranges up to U+FFFF, without the surrogates, which no text has.</summary>
    private static string Spell(IEnumerable<(int First, int Last)> ranges)
    {
        var spelled = new StringBuilder();
        foreach (var (first, last) in ranges)
        {
            Add(first, Math.Min(last, 0xD7FF));
            Add(Math.Max(first, 0xE000), Math.Min(last, 0xFFFF));
        }

        return spelled.ToString();

        void Add(int first, int last)
        {
            if (first <= last)
            {
                spelled.Append(Unit(first)).Append(last > first ? "-" + Unit(last) : "");
            }
        }
    }

    private static string Unit(int unit) => FormattableString.Invariant($@"\u{unit:X4}");

    private static List<(int First, int Last)> Join(IEnumerable<(int First, int Last)> ranges)
    {
        var joined = new List<(int First, int Last)>();
        foreach (var (first, last) in ranges.Order())
        {
            if (joined.Count > 0 && joined[^1].Last >= first - 1)
            {
                joined[^1] = (joined[^1].First, Math.Max(joined[^1].Last, last));
            }
            else
            {
                joined.Add((first, last));
            }
        }

        return joined;
    }
}
