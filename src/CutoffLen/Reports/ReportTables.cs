using System.Globalization;
using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Positions.Theory;
using CutoffLen.Reports.Charts;
using CutoffLen.Reports.Html;

namespace CutoffLen.Reports;

/// <summary>The tables of a page, a row for each model and method.</summary>
internal static class ReportTables
{
    /// <summary>Perplexity with intervals, the lowest of each length in bold.</summary>
    public static XElement Perplexity(Report report, string protocol)
    {
        var results = report.Methods.Select(m => m.Under(protocol)).ToList();
        var lowest = results[0].Lengths.Select((_, i) => results.Min(r => r.Lengths[i].Perplexity)).ToList();
        return Page.Table(
            $"Perplexity with 95% intervals, drawn over {results[0].Unit}; the lowest of each length in bold",
            ["", .. results[0].Lengths.Select(l => (object)new object[]
            {
                Numbers.Tokens(l.Length),
                Page.Sub($"{l.Documents} {(l.Documents == 1 ? "text" : "texts")}"),
                l.DocumentsLeftOut > 0 ? Page.Sub($"{l.DocumentsLeftOut} too short") : "",
            })],
            Rows(report, report.Methods, m => m.Under(protocol).Lengths.Select((l, i) => l.Perplexity is not { } perplexity ? (object?)null : new object[]
            {
                Page.Element("span", perplexity <= lowest[i] ? "best" : null, Numbers.Perplexity(perplexity)),
                l.PerplexityInterval is { } interval ? Page.Sub(Intervals.Perplexity(interval)) : "",
            })));
    }

    /// <summary>The lm-evaluation-harness's three metrics, where the protocol has them.</summary>
    public static XElement? PerWordAndByte(Report report, string protocol)
    {
        var lengths = report.Methods[0].Under(protocol).Lengths;
        return report.Methods.All(m => m.Under(protocol).Lengths.All(l => l.PerWordAndByte is null)) ? null : Page.Table(
            "Word perplexity, byte perplexity, bits per byte",
            ["", .. lengths.Select(l => Numbers.Tokens(l.Length))],
            Rows(report, report.Methods, m => m.Under(protocol).Lengths.Select(l => l.PerWordAndByte is not { } w ? (object?)null : new object[]
            {
                Numbers.Perplexity(w.WordPerplexity), Page.Sub(Numbers.Nats(w.BytePerplexity)), Page.Sub(Numbers.Nats(w.BitsPerByte)),
            })));
    }

    /// <summary>Paired differences from the baseline.</summary>
    public static XElement Comparison(Report report, PerplexitySection perplexity, string protocol)
    {
        var comparisons = perplexity.Comparisons.Where(c => c.Protocol == protocol).ToList();
        return Differences(
            report, $"Nats per token more or less than {report.LabelOf(report.Methods[0])}, {protocol}", perplexity.Lengths,
            comparisons.Select(c => (report.Methods.First(m => m.Model == c.Model && m.Method == c.Method), c.Differences)));
    }

    /// <summary>Paired differences by length, a row for each method.</summary>
    public static XElement Differences(
        Report report, string caption, IReadOnlyList<int> lengths, IEnumerable<(MeasuredMethod Measured, IReadOnlyList<PairedDifference> Differences)> rows)
    {
        var of = rows.ToList();
        return Page.Table(
            caption,
            ["", .. lengths.Select(length => Numbers.Tokens(length))],
            of.Select(row => Row(report, row.Measured, lengths.Select(length =>
                row.Differences.FirstOrDefault(d => d.Length == length) is { } d ? Difference(d.Nats, d.Interval, lessIsBetter: true) : null))));
    }

    /// <summary>Gains from longer context, or null where the protocol compares no two lengths.</summary>
    public static XElement? Gains(Report report, string protocol)
    {
        var results = report.Methods.Select(m => m.Under(protocol)).ToList();
        // Of each length the first gain says over which shorter length it is.
        var columns = results[0].Lengths.Select((l, i) => (l.Length, Index: i, Gain: results.Select(r => r.Lengths[i].Gain).FirstOrDefault(gain => gain is not null)))
            .Where(column => column.Gain is not null).ToList();
        return columns.Count == 0 ? null : Page.Table(
            $"Gain in nats per token, {protocol}",
            ["", .. columns.Select(c => (object)new object[] { Numbers.Tokens(c.Length), Page.Sub($"over {Numbers.Tokens(c.Gain!.From)}") })],
            Rows(report, report.Methods, m => columns.Select(c => m.Under(protocol).Lengths[c.Index].Gain is { } gain ? Difference(gain.Nats, gain.Interval, lessIsBetter: false) : null)));
    }

    /// <summary>k_max and rank by length.</summary>
    public static XElement Passkey(Report report)
    {
        var measured = report.Methods.Where(m => m.Passkey is not null).ToList();
        var lengths = measured.SelectMany(m => m.Passkey!.Cells).Select(c => c.Length).Distinct().Order().ToList();
        return Page.Table(
            "k_max, the distance up to which at least 20% of the keys are found, in tokens; below it the keys' mean rank among the candidates",
            ["", .. lengths.Select(length => Numbers.Tokens(length))],
            Rows(report, measured, m => lengths.Select(length =>
            {
                var cells = m.Passkey!.Cells.Where(c => c.Length == length).ToList();
                return cells.Count == 0 ? (object?)null : new object[]
                {
                    Numbers.Count(m.Passkey.LargestDistance(length)), Page.Sub(FormattableString.Invariant($"rank {cells.Average(c => c.MeanRank):0.0} of {cells.Max(c => c.Candidates)}")),
                };
            })));
    }

    /// <summary>ROUGE by method, the highest of each in bold.</summary>
    public static XElement Summaries(Report report)
    {
        var highest = Rouge.Names.Select((_, n) => report.Methods.Max(m => m.Summarization!.Means[n].F1)).ToList();
        return Page.Table(
            "Mean F1 x 100 with 95% intervals, drawn over documents; the highest of each in bold",
            ["", .. Rouge.Names, "tokens of a summary"],
            Rows(report, report.Methods, m =>
            [
                .. m.Summarization!.Means.Select((mean, n) => (object?)new object[]
                {
                    Page.Element("span", mean.F1 >= highest[n] ? "best" : null, Intervals.Percent(mean.F1)),
                    mean.Interval is { } interval ? Page.Sub(Intervals.Percent(interval)) : "",
                }),
                Numbers.Count(m.Summarization.Summaries.Average(summary => summary.Tokens)),
            ]));
    }

    /// <summary>LongPPL, where it was measured.</summary>
    public static XElement? LongPpl(Report report)
    {
        var measured = report.Methods.Where(m => m.LongPpl is not null).ToList();
        return measured.Count == 0 ? null : Page.Table(
            $"LongPPL (arXiv 2410.23771): perplexity of the tokens that are easy with all of the context and hard with the last {Numbers.Count(measured[0].LongPpl!.Settings.TruncatedLength)} tokens of it",
            ["", "LongPPL", "key tokens", "of tokens", "texts"],
            Rows(report, measured, m => m.LongPpl is not { } l ? [] : (object?[])
            [
                l.LongPerplexity is { } p ? Numbers.Perplexity(p) : null, Numbers.Count(l.KeyTokens), Numbers.Count(l.Tokens), $"{l.Documents}",
            ]));
    }

    /// <summary>Attention resolution with BCA off and on, where it was measured.</summary>
    public static IEnumerable<XElement> AttentionResolution(Report report) =>
    [
        .. ByLayer(report, "Attention resolution (arXiv 2212.10554, equation 3)", m => m.AttentionResolution?.Layers),
        .. ByLayer(report, "Attention resolution under blockwise causal attention (BCA)", m => m.AttentionResolution?.WithBca),
    ];

    /// <summary>Attention entropy and divergence, where they were measured.</summary>
    public static IEnumerable<XElement> AttentionDistributions(Report report) =>
    [
        .. ByLayer(report, "Attention entropy (arXiv 2406.13282), nats", m => m.AttentionDistributions?.Entropy),
        .. ByLayer(report, "Jensen-Shannon divergence of attention from the checkpoint's own method, nats", m => m.AttentionDistributions?.Divergence),
    ];

    /// <summary>A measure of attention by layer; nothing where no method has it.</summary>
    private static IEnumerable<XElement> ByLayer(Report report, string caption, Func<MeasuredMethod, IReadOnlyList<double>?> layersOf)
    {
        var measured = report.Methods.Where(m => layersOf(m) is not null).ToList();
        return measured.Count == 0 ? [] :
        [
            Page.Table(
                $"{caption}: mean over layers, then layer by layer",
                ["", "mean", .. Enumerable.Range(0, measured.Max(m => layersOf(m)!.Count)).Select(i => $"{i}")],
                Rows(report, measured, m => layersOf(m)!.Prepend(layersOf(m)!.Average()).Select(value => value.ToString("0.0000", CultureInfo.InvariantCulture)))),
        ];
    }

    /// <summary>Predicted bounds beside the measured limits.</summary>
    public static XElement Theory(Report report)
    {
        var bounds = report.Methods.SelectMany(m => m.Bounds).DistinctBy(b => b.Name).ToList();
        var hasBases = report.Methods.Any(m => m.ScalingLaw is not null);
        return Page.Plain("div", Page.Table(
            "Tokens",
            ["", report.Sweep is null ? "native" : "trained at", .. hasBases ? ["base", "critical dimension"] : Array.Empty<object>(), "measured", .. bounds.Select(b => b.Name)],
            Rows(report, report.Methods, m =>
            [
                Numbers.Count((m as SweepCell)?.Cutoff ?? m.NativeLength),
                .. hasBases ? Base(m.ScalingLaw) : [],
                m.Limit is { } limit ? new object[] { Intervals.Limit(limit), Page.Sub(Intervals.OfLimit(limit)) } : null,
                .. bounds.Select(b => m.Bounds.FirstOrDefault(own => own.Name == b.Name) is not { } own ? null : double.IsFinite(own.Tokens) ? Numbers.Count(own.Tokens) : "none"),
            ])),
            Page.Element("ul", "notes", bounds.Select(b => Page.Plain("li", Page.Plain("strong", b.Name), $": {b.Source}"))));
    }

    // The base, beside the critical one; the critical dimension after training, and how far its slowest pair turns with a small base.
    private static object?[] Base(ScalingLaw? law) => law is null ? [null, null] :
    [
        new object[] { Numbers.Short(law.Base), Page.Sub($"critical {Numbers.Short(law.CriticalBase)}") },
        new object[] { $"{law.TunedCriticalDimension}", law.IsLowerBound ? Page.Sub($"all turn by {SmallTurns[law.SmallBasesAbove - 1]}") : "" },
    ];

    private static readonly string[] SmallTurns = ["π/2", "π", "2π"];

    /// <summary>That each method was applied.</summary>
    public static XElement? Proofs(Report report) => report.Methods.All(m => m.Proof is null) ? null : Page.Table(
        "Proof that each method was applied",
        ["", "hash of its tables", "largest probe-logit difference from vanilla"],
        Rows(report, report.Methods, m => m.Proof is { } proof ? [Page.Plain("code", proof.TableHash), Numbers.Short(proof.LargestLogitDifference)] : [null, null]));

    /// <summary>Names and values.</summary>
    public static XElement Settings(IEnumerable<Setting> settings) => Page.Element(
        "dl", "settings", settings.Select(s => new[] { Page.Plain("dt", s.Name), Page.Plain("dd", s.Value) }));

    /// <summary>A row for each method; a cell without a number is null.</summary>
    public static IEnumerable<IEnumerable<object>> Rows<T>(Report report, IEnumerable<T> methods, Func<T, IEnumerable<object?>> cells)
        where T : MeasuredMethod => methods.Select(m => Row(report, m, cells(m)));

    private static IEnumerable<object> Row(Report report, MeasuredMethod measured, IEnumerable<object?> cells) =>
        cells.Select(cell => cell ?? Page.Missing()).Prepend(Name(report, measured));

    private static object[] Name(Report report, MeasuredMethod measured) => measured is SweepCell cell
        ? [Page.Breakable(cell.Method), Page.Sub(cell.Cutoff is { } cutoff ? $"tuned at {Numbers.Tokens(cutoff)}" : "before")]
        : [Page.Element("span", $"swatch s{report.Methods.ToList().IndexOf(measured) % Palette.Size}"), Page.Breakable(report.LabelOf(measured))];

    // A difference in nats with its interval, in colour where that excludes zero.
    private static object[] Difference(double nats, Interval? interval, bool lessIsBetter)
    {
        var better = lessIsBetter ? nats < 0 : nats > 0;
        var style = PairedDifference.IsBeyondRounding(nats, interval) ? (better ? "better" : "worse") : null;
        return [Page.Element("span", style, Numbers.Signed(nats)), interval is { } shown ? Page.Sub(Intervals.Signed(shown)) : ""];
    }
}
