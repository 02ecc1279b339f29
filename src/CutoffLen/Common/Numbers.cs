using System.Globalization;

namespace CutoffLen.Common;

/// <summary>How numbers look in tables, charts and on the terminal.</summary>
internal static class Numbers
{
    /// <summary>Three or four digits: 3.42, 32.3, 889, 12,400, 1.2e7.</summary>
    public static string Perplexity(double value) => value switch
    {
        < 10 => value.ToString("0.000", CultureInfo.InvariantCulture),
        < 100 => value.ToString("0.00", CultureInfo.InvariantCulture),
        < 1000 => value.ToString("0.0", CultureInfo.InvariantCulture),
        < 1e6 => value.ToString("#,0", CultureInfo.InvariantCulture),
        _ => value.ToString("0.0e0", CultureInfo.InvariantCulture),
    };

    /// <summary>Nats with a sign, three decimals.</summary>
    public static string Signed(double nats) => nats.ToString("+0.000;−0.000;0.000", CultureInfo.InvariantCulture);

    /// <summary>Nats, three decimals.</summary>
    public static string Nats(double nats) => nats.ToString("0.000", CultureInfo.InvariantCulture);

    /// <summary>An exponent, two decimals.</summary>
    public static string Exponent(double value) => value.ToString("0.00;−0.00;0.00", CultureInfo.InvariantCulture);

    /// <summary>A tick: as few digits as it needs.</summary>
    public static string Short(double value) => value switch
    {
        0 => "0",
        >= 1e6 or < 1e-3 => value.ToString("0.##e0", CultureInfo.InvariantCulture),
        >= 1000 => value.ToString("#,0", CultureInfo.InvariantCulture),
        _ => value.ToString("0.###", CultureInfo.InvariantCulture),
    };

    /// <summary>A number of tokens, as lengths are written: 512, 8k, 6000.</summary>
    public static string Tokens(double tokens) => Lengths.Format((int)Math.Round(tokens));

    /// <summary>A count with thousands marked.</summary>
    public static string Count(double count) => count.ToString("#,0", CultureInfo.InvariantCulture);

    /// <summary>A score in percent, one decimal.</summary>
    public static string Score(double percent) => percent.ToString("0.0", CultureInfo.InvariantCulture);

    /// <summary>A share as whole percent.</summary>
    public static string Percent(double share) => share.ToString("0%", CultureInfo.InvariantCulture);
}
