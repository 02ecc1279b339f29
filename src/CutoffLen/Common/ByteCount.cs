using System.Globalization;

namespace CutoffLen.Common;

/// <summary>Amounts of memory as people write them; GB is 10^9 bytes, GiB 2^30.</summary>
public static class ByteCount
{
    private static readonly (string Unit, double Bytes)[] Units =
        [("kib", 1 << 10), ("mib", 1 << 20), ("gib", 1 << 30), ("tib", 1L << 40), ("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("tb", 1e12), ("g", 1e9), ("m", 1e6)];

    /// <summary>Bytes of <c>80GB</c>, <c>23.5 GiB</c>.</summary>
    /// <exception cref="UserException">It is no amount of memory.</exception>
    public static long Parse(string text)
    {
        var lower = text.Trim().ToLowerInvariant();
        var (unit, bytes) = Units.FirstOrDefault(known => lower.EndsWith(known.Unit, StringComparison.Ordinal));
        return unit is not null
            && double.TryParse(lower[..^unit.Length].Trim(), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)
            && number * bytes is >= 1 and < 1e18
            ? (long)(number * bytes)
            : throw new UserException($"'{text}' is not an amount of memory; write 80GB or 79.1GiB");
    }

    /// <summary>In GB, two digits after the point.</summary>
    public static string Gigabytes(long bytes) => FormattableString.Invariant($"{bytes / 1e9:0.00} GB");
}
