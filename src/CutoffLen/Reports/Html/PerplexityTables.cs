using System.Globalization;
using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Reports.Charts;

namespace CutoffLen.Reports.Html;

/// <summary>The tables of a sweep.</summary>
internal static class PerplexityTables
{
    /// <summary>Perplexity with intervals, the lowest of each length in bold.</summary>
    public static XElement Perplexity(PerplexityReport report, string protocol)
    {
        var results = report.Measured.Select(m => Of(m, protocol)).ToList();
        var lowest = report.Lengths.Select((_, i) => results.Min(r => r.Lengths[i].Perplexity)).ToList();
        var unit = results[0].Unit;
        return Page.Table(
            $"Perplexity with 95% intervals, drawn over {unit}",
            ["", .. results[0].Lengths.Select(l => (object)new object[] { Numbers.Tokens(l.Length), Page.Sub($"{l.Texts} {(l.Texts == 1 ? "text" : "texts")}"), l.TextsLeftOut > 0 ? Page.Sub($"{l.TextsLeftOut} too short") : "" })],
            report.Measured.Select((m, row) => new object[] { Name(report, row) }.Concat(results[row].Lengths.Select((l, i) => Cell(l, lowest[i])))));

        static object Cell(LengthResult result, double? lowest) => result.Perplexity is not { } perplexity
            ? Page.Missing()
            : new object[]
            {
                Page.Element("span", perplexity <= lowest ? "best" : null, Numbers.Perplexity(perplexity)),
                result.PerplexityInterval is { } interval ? Page.Sub(Numbers.Perplexity(interval)) : "",
            };
    }

    /// <summary>The lm-evaluation-harness's three metrics, where the protocol has them.</summary>
    public static XElement? PerWordAndByte(PerplexityReport report, string protocol)
    {
        var results = report.Measured.Select(m => Of(m, protocol)).ToList();
        if (results.All(r => r.Lengths.All(l => l.PerWordAndByte is null)))
        {
            return null;
        }

        return Page.Table(
            "Word perplexity, byte perplexity, bits per byte",
            ["", .. report.Lengths.Select(length => (object)Numbers.Tokens(length))],
            report.Measured.Select((m, row) => new object[] { Name(report, row) }.Concat(results[row].Lengths.Select(l => l.PerWordAndByte is { } w
                ? (object)new object[] { Numbers.Perplexity(w.WordPerplexity), Page.Sub(Numbers.Nats(w.BytePerplexity)), Page.Sub(Numbers.Nats(w.BitsPerByte)) }
                : "–"))));
    }

    /// <summary>Paired differences from the baseline.</summary>
    public static XElement Comparison(PerplexityReport report, string protocol) => Page.Table(
        $"Nats per token more or less than {report.LabelOf(report.Measured[0])}, {protocol}",
        ["", .. report.Lengths.Select(length => (object)Numbers.Tokens(length))],
        report.Comparisons.Where(c => c.Protocol == protocol).Select(c => new object[] { Name(report, IndexOf(report, c)) }.Concat(report.Lengths.Select(length =>
            c.Differences.FirstOrDefault(d => d.Length == length) is { } d ? (object)Difference(d.Nats, d.Interval, lessIsBetter: true) : Page.Missing()))));

    /// <summary>Gains from longer context, or null where the protocol compares no two lengths.</summary>
    public static XElement? Gains(PerplexityReport report, string protocol)
    {
        var results = report.Measured.Select(m => Of(m, protocol)).ToList();
        if (results.All(r => r.Lengths.All(l => l.Gain is null)))
        {
            return null;
        }

        var columns = report.Lengths.Select((length, i) => (length, i)).Where(c => results.Any(r => r.Lengths[c.i].Gain is not null)).ToList();
        return Page.Table(
            $"Gain in nats per token, {protocol}",
            ["", .. columns.Select(c => (object)new object[] { Numbers.Tokens(c.length), Page.Sub($"over {Numbers.Tokens(results.First(r => r.Lengths[c.i].Gain is not null).Lengths[c.i].Gain!.From)}") })],
            report.Measured.Select((m, row) => new object[] { Name(report, row) }.Concat(columns.Select(c => results[row].Lengths[c.i].Gain is { } gain
                ? (object)Difference(gain.Nats, gain.Interval, lessIsBetter: false)
                : Page.Missing()))));
    }

    /// <summary>k_max and rank by length.</summary>
    public static XElement Passkey(PerplexityReport report)
    {
        var lengths = report.Measured.Where(m => m.Passkey is not null).SelectMany(m => m.Passkey!.Cells).Select(c => c.Length).Distinct().Order().ToList();
        return Page.Table(
            "k_max, the distance up to which at least 20% of the keys are found, in tokens; below it the keys' mean rank among the candidates",
            ["", .. lengths.Select(length => (object)Numbers.Tokens(length))],
            report.Measured.Select((m, row) => (m, row)).Where(x => x.m.Passkey is not null).Select(x => new object[] { Name(report, x.row) }.Concat(lengths.Select(length =>
            {
                var cells = x.m.Passkey!.Cells.Where(c => c.Length == length).ToList();
                return cells.Count == 0 ? (object)"–" : new object[]
                {
                    Numbers.Count(x.m.Passkey.LargestDistance(length)), Page.Sub(FormattableString.Invariant($"rank {cells.Average(c => c.MeanRank):0.0} of {cells.Max(c => c.Candidates)}")),
                };
            }))));
    }

    /// <summary>LongPPL, where it was measured.</summary>
    public static XElement? LongPpl(PerplexityReport report)
    {
        var rows = report.Measured.Select((m, row) => (m.LongPpl, row)).Where(x => x.LongPpl is not null).ToList();
        return rows.Count == 0 ? null : Page.Table(
            $"LongPPL (arXiv 2410.23771): perplexity of the tokens that are easy with all of the context and hard with the last {Numbers.Count(rows[0].LongPpl!.Settings.TruncatedLength)} tokens of it",
            ["", "LongPPL", "key tokens", "of tokens", "texts"],
            rows.Select(x => new object[]
            {
                Name(report, x.row), x.LongPpl!.LongPerplexity is { } p ? Numbers.Perplexity(p) : "–", Numbers.Count(x.LongPpl.KeyTokens), Numbers.Count(x.LongPpl.Tokens), $"{x.LongPpl.Texts}",
            }));
    }

    /// <summary>Attention resolution, where it was measured.</summary>
    public static XElement? AttentionResolution(PerplexityReport report)
    {
        var rows = report.Measured.Select((m, row) => (m.AttentionResolution, row)).Where(x => x.AttentionResolution is not null).ToList();
        return rows.Count == 0 ? null : Page.Table(
            "Attention resolution (arXiv 2212.10554, equation 3): mean over layers, then layer by layer",
            ["", "mean", .. Enumerable.Range(0, rows.Max(x => x.AttentionResolution!.Count)).Select(i => (object)$"{i}")],
            rows.Select(x => new object[] { Name(report, x.row), x.AttentionResolution!.Average().ToString("0.0000", CultureInfo.InvariantCulture) }.Concat(x.AttentionResolution!.Select(r => (object)r.ToString("0.0000", CultureInfo.InvariantCulture)))));
    }

    /// <summary>Predicted bounds beside the measured limits.</summary>
    public static XElement Theory(PerplexityReport report)
    {
        var bounds = report.Measured.SelectMany(m => m.Bounds).DistinctBy(b => b.Name).ToList();
        return Plain("div", Page.Table(
            "Tokens",
            ["", "native", "measured", .. bounds.Select(b => (object)b.Name)],
            report.Measured.Select((m, row) => new object[]
            {
                Name(report, row), Numbers.Count(m.NativeLength),
                m.Curve?.EffectiveContext is { } limit ? new object[] { Numbers.Limit(limit), Page.Sub(Numbers.LimitInterval(limit)) } : "–",
            }.Concat(bounds.Select(b => m.Bounds.FirstOrDefault(own => own.Name == b.Name) is { } own ? (object)(double.IsFinite(own.Tokens) ? Numbers.Count(own.Tokens) : "none") : "–")))),
            Page.Element("ul", "notes", bounds.Select(b => Plain("li", Plain("strong", b.Name), $": {b.Source}"))));
    }

    /// <summary>The texts measured on, in a line.</summary>
    public static string Texts(Corpus corpus) =>
        $"{Numbers.Count(corpus.Texts)} with {Numbers.Count(corpus.Tokens)} tokens, the longest {Numbers.Count(corpus.LongestTokens)}: {string.Join(", ", corpus.Sources)}";

    /// <summary>A difference in nats with its interval, in colour where that leaves out zero.</summary>
    public static object[] Difference(double nats, Interval? interval, bool lessIsBetter)
    {
        var better = lessIsBetter ? nats < 0 : nats > 0;
        var style = interval is { } i && i.Excludes(0) && Math.Abs(nats) > PairedDifference.Rounding ? (better ? "better" : "worse") : null;
        return [Page.Element("span", style, Numbers.Signed(nats)), interval is { } shown ? Page.Sub(Numbers.Signed(shown)) : ""];
    }

    /// <summary>Names and values.</summary>
    public static XElement Settings(IEnumerable<Setting> settings) => Page.Element(
        "dl", "settings", settings.Select(s => new[] { Plain("dt", s.Name), Plain("dd", s.Value) }));

    /// <summary>That each method was applied.</summary>
    public static XElement? Proofs(PerplexityReport report) => report.Measured.All(m => m.Proof is null) ? null : Page.Table(
        "Proof that each method was applied",
        ["", "hash of its tables", "largest probe-logit difference from vanilla"],
        report.Measured.Select((m, row) => new object[]
        {
            Name(report, row), m.Proof is { } p ? Plain("code", p.TableHash) : "–", m.Proof is { } q ? Numbers.Short(q.LargestLogitDifference) : "–",
        }));

    private static object[] Name(PerplexityReport report, int row) =>
        [Page.Element("span", $"swatch s{row % Palette.Size}"), Page.Breakable(report.LabelOf(report.Measured[row]))];

    private static int IndexOf(PerplexityReport report, MethodComparison comparison) =>
        report.Measured.Select((m, i) => (m, i)).First(x => x.m.Model == comparison.Model && x.m.Method == comparison.Method).i;

    private static ProtocolResult Of(MeasuredMethod measured, string protocol) => measured.Protocols.First(p => p.Protocol == protocol);

    private static XElement Plain(string name, params object?[] content) => Page.Plain(name, content);
}
