using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports;

/// <summary>Intervals and effective contexts as text, for tables, charts and the terminal.</summary>
internal static class Intervals
{
    /// <summary>An interval of perplexities.</summary>
    public static string Perplexity(Interval interval) => $"{Numbers.Perplexity(interval.Low)}–{Numbers.Perplexity(interval.High)}";

    /// <summary>A share of 0 to 1 as papers print ROUGE: 29.5 for 0.295.</summary>
    public static string Percent(double share) => Numbers.Score(100 * share);

    /// <summary>An interval of such shares.</summary>
    public static string Percent(Interval interval) => $"{Percent(interval.Low)}–{Percent(interval.High)}";

    /// <summary>An interval of scores in percent.</summary>
    public static string Score(Interval interval) => $"{Numbers.Score(interval.Low)}–{Numbers.Score(interval.High)}";

    /// <summary>An interval of nats with signs.</summary>
    public static string Signed(Interval interval) => $"{Numbers.Signed(interval.Low)} to {Numbers.Signed(interval.High)}";

    /// <summary>An effective context: 1722, or ≥ 4096.</summary>
    public static string Limit(EffectiveContextLimit limit) => limit.ToString().Replace(">=", "≥");

    /// <summary>The interval of an effective context, empty where there is none.</summary>
    public static string OfLimit(EffectiveContextLimit limit) => limit.IntervalText.Replace(">=", "≥");

    /// <summary>An effective context and its interval; no interval where no limit was found.</summary>
    public static string LimitWithInterval(EffectiveContextLimit limit) =>
        Limit(limit) + (limit.Interval is null || limit.Tokens is null ? "" : $"  ({OfLimit(limit)})");
}
