using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports.Html;

/// <summary>The tables of a sweep over methods and cutoffs.</summary>
internal static class SweepTables
{
    /// <summary>Perplexity of every cell at every length.</summary>
    public static XElement Perplexity(SweepReport report)
    {
        var results = report.Cells.Select(cell => cell.Measured.Protocols[0].Lengths).ToList();
        var lowest = report.Lengths.Select((_, i) => results.Min(row => row[i].Perplexity)).ToList();
        return Page.Table(
            $"Perplexity with 95% intervals, drawn over {report.Itself.Measured.Protocols[0].Unit}; the lowest of each length in bold",
            ["", .. results[0].Select(l => (object)new object[] { Numbers.Tokens(l.Length), Page.Sub($"{l.Texts} {(l.Texts == 1 ? "text" : "texts")}") })],
            report.Cells.Select((cell, row) => Name(cell).Concat(results[row].Select((result, i) => result.Perplexity is not { } perplexity
                ? (object)Page.Missing()
                : new object[]
                {
                    Page.Element("span", perplexity <= lowest[i] ? "best" : null, Numbers.Perplexity(perplexity)),
                    result.PerplexityInterval is { } interval ? Page.Sub(Numbers.Perplexity(interval)) : "",
                }))));
    }

    /// <summary>What fine-tuning added to the same positions, by length.</summary>
    public static XElement AfterAgainstBefore(SweepReport report) => Differences(
        report, "Nats per token after fine-tuning less those before, under the same positions", report.After.Where(cell => cell.AgainstUntuned.Count > 0), cell => cell.AgainstUntuned);

    /// <summary>The methods against the first of them, fine-tuned at the same cutoff; null with one method.</summary>
    public static XElement? AgainstFirst(SweepReport report)
    {
        var cells = report.After.Where(cell => cell.AgainstFirst.Count > 0).ToList();
        return cells.Count == 0 ? null : Differences(
            report, $"Nats per token more or less than {report.After.First().Rope} fine-tuned at the same cutoff", cells, cell => cell.AgainstFirst);
    }

    /// <summary>Every cell against the checkpoint as it is, at lengths up to its native one: the price.</summary>
    public static XElement Price(SweepReport report)
    {
        var lengths = report.Lengths.Where(length => length <= report.NativeLength).ToList();
        return Differences(
            report, "Nats per token more or less than the checkpoint as it is, at lengths up to its native one", report.Cells.Skip(1), cell => cell.AgainstItself, lengths);
    }

    /// <summary>Predicted bounds beside measured limits.</summary>
    public static XElement Theory(SweepReport report)
    {
        var bounds = report.Cells.SelectMany(cell => cell.Measured.Bounds).DistinctBy(bound => bound.Name).ToList();
        return Page.Plain("div", Page.Table(
            "Tokens",
            ["", "trained at", "measured", .. bounds.Select(bound => (object)bound.Name)],
            report.Cells.Select(cell => Name(cell)
                .Append(Numbers.Count(cell.Cutoff ?? report.NativeLength))
                .Append(cell.Limit is { } limit ? (object)new object[] { Numbers.Limit(limit), Page.Sub(Numbers.LimitInterval(limit)) } : Page.Missing())
                .Concat(bounds.Select(bound => cell.Measured.Bounds.FirstOrDefault(own => own.Name == bound.Name) is { } own
                    ? (object)(double.IsFinite(own.Tokens) ? Numbers.Count(own.Tokens) : "none")
                    : Page.Missing())))),
            Page.Element("ul", "notes", bounds.Select(bound => Page.Plain("li", Page.Plain("strong", bound.Name), $": {bound.Source}"))));
    }

    /// <summary>What the fine-tuning runs took.</summary>
    public static XElement Cost(SweepReport report)
    {
        var cells = report.After.Where(cell => cell.Cost is not null).ToList();
        var seconds = cells.Sum(cell => cell.Cost!.Seconds ?? 0);
        return Page.Table(
            $"{Numbers.Count(cells.Sum(cell => cell.Cost!.Tokens))} tokens and {Numbers.Count(seconds)} seconds in all",
            ["", "steps", "tokens trained on", "seconds", "tokens a second", "last loss"],
            cells.Select(cell => Name(cell).Concat(
            [
                Numbers.Count(cell.Cost!.Steps), Numbers.Count(cell.Cost.Tokens),
                cell.Cost.Seconds is { } took ? (object)Numbers.Count(took) : Page.Missing(),
                cell.Cost.Seconds is > 0 and { } time ? (object)Numbers.Count(cell.Cost.Tokens / time) : Page.Missing(),
                cell.Cost.Loss is { } loss ? (object)Numbers.Nats(loss) : Page.Missing(),
            ])));
    }

    /// <summary>The fits of effective context against cutoff.</summary>
    public static XElement Slopes(SweepReport report) => Page.Table(
        "Exponent b of effective context = a · cutoff^b",
        ["", "b", "limits fitted", "beyond the sweep"],
        report.Slopes.Select(slope => new object[]
        {
            slope.Rope is { } rope ? Page.Breakable(rope) : "all methods",
            slope.Slope is { } fit ? (object)new object[] { Numbers.Exponent(fit.Exponent), fit.Interval is { } i ? Page.Sub($"{Numbers.Exponent(i.Low)} to {Numbers.Exponent(i.High)}") : "" } : Page.Missing(),
            slope.Slope is { } of ? (object)$"{of.Points}" : Page.Missing(),
            slope.Slope is { } open ? (object)$"{open.Open}" : Page.Missing(),
        }));

    /// <summary>That each method was applied.</summary>
    public static XElement Proofs(SweepReport report) => Page.Table(
        "Proof that each method was applied",
        ["", "hash of its tables", "largest probe-logit difference from vanilla"],
        report.Cells.Select(cell => Name(cell).Concat(cell.Measured.Proof is { } proof
            ? [Page.Plain("code", proof.TableHash), Numbers.Short(proof.LargestLogitDifference)]
            : [Page.Missing(), Page.Missing()])));

    /// <summary>Cells with a reach and a price.</summary>
    public static IReadOnlyList<SweepCell> Priced(SweepReport report) => [.. report.Cells.Where(cell => cell is { Limit: not null, Price: not null })];

    /// <summary>A cell's reach in tokens, the sweep's length where it found no limit, and its price in nats.</summary>
    public static (double Reach, double Price) ReachAndPrice(SweepCell cell) => (cell.Limit!.Tokens ?? cell.Limit.Swept, cell.Price!.Nats);

    private static XElement Differences(
        SweepReport report, string caption, IEnumerable<SweepCell> cells, Func<SweepCell, IReadOnlyList<PairedDifference>> of, IReadOnlyList<int>? lengths = null)
    {
        var columns = lengths ?? report.Lengths;
        return Page.Table(
            caption,
            ["", .. columns.Select(length => (object)Numbers.Tokens(length))],
            cells.Select(cell => Name(cell).Concat(columns.Select(length =>
                of(cell).FirstOrDefault(d => d.Length == length) is { } d ? (object)PerplexityTables.Difference(d.Nats, d.Interval, lessIsBetter: true) : Page.Missing()))));
    }

    private static IEnumerable<object> Name(SweepCell cell) =>
        [new object[] { Page.Breakable(cell.Measured.Method), cell.Cutoff is { } cutoff ? Page.Sub($"tuned at {Numbers.Tokens(cutoff)}") : Page.Sub("before") }];
}
