using System.Globalization;

namespace CutoffLen.Common;

/// <summary>
/// Lengths in tokens as a user writes them: <c>8192</c>, <c>8k</c> (1k = 1024, 1m = 1024k), lists <c>512,2k,6k</c>,
/// doubling ranges <c>1k..32k</c> and stepped ranges <c>1k..8k:1k</c>. A range always contains its end.
/// </summary>
public static class Lengths
{
    private const string Allowed =
        "a length is a whole number of tokens such as 8192 or 8k (1k = 1024); several are written 512,2k,6k, 1k..32k (doubling) or 1k..8k:1k (steps)";

    // More than any sweep needs; 1..1m:1 is a typing error.
    private const int MostLengths = 10_000;

    /// <summary>One length in tokens, at least 1.</summary>
    /// <exception cref="UserException">The text is not one positive length.</exception>
    public static int ParseOne(string text)
    {
        var trimmed = text.Trim();
        var unit = trimmed.Length == 0 ? 1L : char.ToLowerInvariant(trimmed[^1]) switch { 'k' => 1L << 10, 'm' => 1L << 20, _ => 1L };
        var digits = unit == 1 ? trimmed : trimmed[..^1];
        if (!long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) || number == 0)
        {
            throw new UserException($"'{text}' is not a length; {Allowed}");
        }

        if (number > int.MaxValue / unit)
        {
            throw new UserException($"'{text}' is too long; the longest length is {int.MaxValue} tokens");
        }

        return (int)(number * unit);
    }

    /// <summary>All lengths of a list, ascending, each once.</summary>
    /// <exception cref="UserException">An item is neither a length nor a range, or a range runs backwards.</exception>
    public static IReadOnlyList<int> Parse(string text)
    {
        var lengths = new SortedSet<int>();
        foreach (var item in text.Split(','))
        {
            foreach (var length in ParseItem(item))
            {
                if (lengths.Add(length) && lengths.Count > MostLengths)
                {
                    throw new UserException($"'{text}' means more than {MostLengths} lengths; use a larger step");
                }
            }
        }

        return [.. lengths];
    }

    /// <summary>The shortest way to write a length: <c>8k</c>, <c>6000</c>, <c>1m</c>.</summary>
    public static string Format(int length) => length switch
    {
        > 0 when length % (1 << 20) == 0 => $"{length >> 20}m",
        > 0 when length % (1 << 10) == 0 => $"{length >> 10}k",
        _ => length.ToString(CultureInfo.InvariantCulture),
    };

    private static IEnumerable<int> ParseItem(string item)
    {
        var ends = item.Split("..");
        if (ends.Length == 1)
        {
            return [ParseOne(item)];
        }

        var last = ends[1].Split(':');
        if (ends.Length > 2 || last.Length > 2)
        {
            throw new UserException($"'{item}' is not a range of lengths; {Allowed}");
        }

        var (from, to) = (ParseOne(ends[0]), ParseOne(last[0]));
        if (from > to)
        {
            throw new UserException($"the range '{item}' runs backwards; write the shorter length first");
        }

        return last.Length == 2 ? Steps(from, to, ParseOne(last[1])) : Doubling(from, to);
    }

    private static IEnumerable<int> Doubling(int from, int to)
    {
        for (long length = from; length < to; length *= 2)
        {
            yield return (int)length;
        }

        yield return to;
    }

    private static IEnumerable<int> Steps(int from, int to, int step)
    {
        for (long length = from; length < to; length += step)
        {
            yield return (int)length;
        }

        yield return to;
    }
}
