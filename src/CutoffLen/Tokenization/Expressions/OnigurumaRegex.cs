using System.Text;
using System.Text.RegularExpressions;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Tokenization.Expressions;

/// <summary>
/// An expression of Hugging Face's tokenizers, matched by .NET's <see cref="Regex"/>. Oniguruma reads code points, .NET
/// UTF-16 units. A text with characters beyond U+FFFF is therefore matched in a copy with one unit for each of them: a
/// surrogate, of which well-formed text has none by itself. Characters that belong to the same sets of the expression share
/// a surrogate, and each set has the surrogates of its members.
/// </summary>
internal sealed class OnigurumaRegex
{
    private const char FirstStandIn = '\uD800';
    private const char LastStandIn = '\uDFFF';

    // Compiling takes as long as matching some hundred thousand characters.
    private const int WorthCompiling = 1 << 16;

    // Known ones have some hundred. .NET's time and memory grow with the square of a text inside an expression.
    private const int MostCharacters = 2048;

    // A hostile expression from a file may take exponential time.
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(5);

    private readonly string source;
    private readonly Regex interpreted;
    private readonly Lazy<Regex> compiled;
    private readonly List<(int First, char StandIn)> standIns;
    private int read;

    /// <summary>Translates an expression.</summary>
    /// <exception cref="InvalidDataException">It is none, or has something that is not supported; the message names it.</exception>
    public OnigurumaRegex(string expression)
    {
        if (expression.Length > MostCharacters)
        {
            throw new InvalidDataException($"the expression {JsonFile.Show(expression)} has {expression.Length} characters, and {MostCharacters} are supported");
        }

        source = expression;
        var items = OnigurumaParser.Parse(expression);
        standIns = StandIns([.. items.OfType<CodePointSet>().SelectMany(set => set.Inverse is { } inverse ? [set, inverse] : new[] { set }).Distinct()], out var units);
        var translated = string.Concat(items.Select(item => item is CodePointSet set ? set.ToExpression(of => units[of]) : (string)item));
        try
        {
            interpreted = new Regex(translated, RegexOptions.CultureInvariant, Timeout);
        }
        catch (ArgumentException fault)
        {
            throw new InvalidDataException($"the expression {JsonFile.Show(expression)} is not supported: {fault.Message}", fault);
        }

        compiled = new(() => new Regex(translated, RegexOptions.CultureInvariant | RegexOptions.Compiled, Timeout));
    }

    /// <summary>The matches in a text, from left to right: where each begins and ends. Nothing matches in an empty text.</summary>
    /// <param name="text">Well-formed UTF-16.</param>
    public List<(int Start, int End)> Matches(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty)
        {
            return [];
        }

        if (!text.ContainsAnyInRange(FirstStandIn, LastStandIn))
        {
            return MatchesOfUnits(text);
        }

        var (units, starts) = OneUnitEach(text);
        return MatchesOfUnits(units).ConvertAll(match => (starts[match.Start], starts[match.End]));
    }

    /// <summary>The text with every match replaced.</summary>
    public string Replace(string text, string replacement)
    {
        var replaced = new StringBuilder();
        var end = 0;
        foreach (var match in Matches(text))
        {
            replaced.Append(text, end, match.Start - end).Append(replacement);
            end = match.End;
        }

        return end == 0 && replaced.Length == 0 ? text : replaced.Append(text, end, text.Length - end).ToString();
    }

    private List<(int Start, int End)> MatchesOfUnits(ReadOnlySpan<char> text)
    {
        var regex = Volatile.Read(ref read) > WorthCompiling || Interlocked.Add(ref read, Math.Min(text.Length, WorthCompiling)) > WorthCompiling
            ? compiled.Value : interpreted;
        var matches = new List<(int Start, int End)>();
        try
        {
            var end = -1;
            foreach (var match in regex.EnumerateMatches(text))
            {
                // Oniguruma's Rust binding accepts no empty match at the end of the match before.
                if (match.Length > 0 || match.Index != end)
                {
                    end = match.Index + match.Length;
                    matches.Add((match.Index, end));
                }
            }
        }
        catch (RegexMatchTimeoutException fault)
        {
            throw new UserException($"the tokenizer's expression {JsonFile.Show(source)} does not come to an end on this text", fault);
        }

        return matches;
    }

    /// <summary>One unit for each code point, and where in the text each begins; one more for the end.</summary>
    private (string Units, List<int> Starts) OneUnitEach(ReadOnlySpan<char> text)
    {
        var units = new StringBuilder(text.Length);
        var starts = new List<int>(text.Length + 1);
        var at = 0;
        foreach (var rune in text.EnumerateRunes())
        {
            units.Append(rune.IsBmp ? (char)rune.Value : StandIn(rune.Value));
            starts.Add(at);
            at += rune.Utf16SequenceLength;
        }

        starts.Add(at);
        return (units.ToString(), starts);
    }

    private char StandIn(int codePoint)
    {
        var (low, high) = (0, standIns.Count - 1);
        while (low < high)
        {
            var middle = (low + high + 1) / 2;
            (low, high) = standIns[middle].First <= codePoint ? (middle, high) : (low, middle - 1);
        }

        return standIns[low].StandIn;
    }

    /// <summary>Cuts the code points beyond U+FFFF into intervals that lie inside or outside of every set.</summary>
    /// <param name="sets">The sets.</param>
    /// <param name="units">For each set the stand-ins of its members, spelled for use inside [ ].</param>
    /// <returns>Where each interval begins, ascending, and its stand-in.</returns>
    private static List<(int First, char StandIn)> StandIns(IReadOnlyList<CodePointSet> sets, out Dictionary<CodePointSet, string> units)
    {
        var borders = sets.SelectMany(set => set.Ranges).SelectMany(range => new[] { range.First, range.Last + 1 })
            .Where(border => border is > char.MaxValue and <= CodePointSet.Last).Append(char.MaxValue + 1).Distinct().Order();
        var intervals = new List<(int First, char StandIn)>();
        var byMembership = new Dictionary<string, char>();
        foreach (var border in borders)
        {
            var membership = string.Concat(sets.Select(set => set.Contains(border) ? '1' : '0'));
            if (!byMembership.TryGetValue(membership, out var standIn))
            {
                standIn = byMembership.Count <= LastStandIn - FirstStandIn
                    ? (char)(FirstStandIn + byMembership.Count)
                    : throw new InvalidDataException("an expression has too many different sets beyond U+FFFF");
                byMembership.Add(membership, standIn);
            }

            intervals.Add((border, standIn));
        }

        units = sets.Index().ToDictionary(
            set => set.Item,
            set => string.Concat(byMembership.Where(class_ => class_.Key[set.Index] == '1').Select(class_ => $@"\u{(int)class_.Value:X4}")));
        return intervals;
    }
}
