using System.Xml.Linq;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports.Charts;

/// <summary>A row of an interval chart.</summary>
/// <param name="Label">Left of the row.</param>
/// <param name="Value">In tokens; null for "no limit found", drawn as an arrow at the axis's end.</param>
/// <param name="Interval">95% interval in tokens; an infinite end runs off the axis.</param>
/// <param name="Text">Right of the row.</param>
internal sealed record IntervalRow(string Label, double? Value, Interval? Interval, string Text)
{
    /// <summary>Its style, where that does not follow from its index in the chart.</summary>
    public LineStyle? Style { get; init; }
}

/// <summary>Points with whiskers over a logarithmic axis of tokens, a row for each: the effective context of each method.</summary>
/// <param name="Label">The text for screen readers.</param>
/// <param name="XLabel">Under the axis.</param>
/// <param name="End">The longest measured length, tokens.</param>
/// <param name="Rows">From top to bottom.</param>
/// <param name="References">Vertical lines.</param>
internal sealed record IntervalChart(
    string Label, string XLabel, double End, IReadOnlyList<IntervalRow> Rows, IReadOnlyList<Reference> References)
{
    private const double Top = 40;
    private const double Bottom = 44;

    /// <summary>Draws at a width; the height follows from the rows.</summary>
    public XElement Draw(double width, string style)
    {
        var narrow = width < 500;
        var rowHeight = narrow ? 40.0 : 30.0;
        var height = Top + (rowHeight * Rows.Count) + Bottom;
        var plot = narrow
            ? new PlotArea(14, 20, Top, Bottom, width, height)
            : new PlotArea(24 + (6.8 * Rows.Max(r => r.Label.Length)), 30 + (6.4 * Rows.Max(r => r.Text.Length)), Top, Bottom, width, height);
        var x = new TokenScale(Lowest(), End, plot.Left, plot.Right);
        return Svg.Picture(width, height, Label, style, Axis(plot, x, narrow), Rows.Select((row, i) => DrawRow(row, i, plot, x, narrow, rowHeight)));
    }

    private double Lowest()
    {
        var values = Rows.SelectMany(r => new[] { r.Value ?? End, r.Interval?.Low ?? End }).Concat(References.Select(r => r.X));
        return Math.Min(values.Where(double.IsFinite).Min() / 1.5, End / 4);
    }

    private IEnumerable<XElement?> Axis(PlotArea plot, TokenScale x, bool narrow)
    {
        foreach (var tick in x.Ticks(narrow ? 6 : 10))
        {
            yield return Svg.Line(x[tick.Value], plot.Top, x[tick.Value], plot.Bottom, "grid");
            yield return Svg.Text(x[tick.Value], plot.Bottom + 17, tick.Label, "tick", "middle");
        }

        yield return Svg.Line(plot.Left, plot.Bottom, plot.Right, plot.Bottom, "axis");
        yield return Svg.Text((plot.Left + plot.Right) / 2, plot.Bottom + 35, XLabel, "axis-label", "middle");
        var row = 0;
        foreach (var reference in References.Where(r => r.X <= End && x[r.X] >= plot.Left).OrderBy(r => r.X))
        {
            var y = plot.Top - 6 - (row++ % 2 * 13);
            yield return Svg.Line(x[reference.X], y + 3, x[reference.X], plot.Bottom, reference.IsPrediction ? "reference predicted" : "reference");
            yield return Svg.Text(x[reference.X], y, reference.Label, "reference-label", x[reference.X] > plot.Right - 60 ? "end" : "middle");
        }
    }

    private XElement DrawRow(IntervalRow row, int index, PlotArea plot, TokenScale x, bool narrow, double rowHeight)
    {
        var y = plot.Top + (rowHeight * (index + (narrow ? 0.68 : 0.5)));
        var style = row.Style ?? new LineStyle(index);
        var color = style.Hue;
        return Svg.Element(
            "g", "point",
            Svg.Title($"{row.Label}: {row.Text}"),
            narrow
                ? Svg.Text(plot.Left, y - 13, $"{row.Label}: {row.Text}", "legend-label")
                : new[] { Svg.Text(plot.Left - 10, y + 4, row.Label, $"end-label {color}", "end"), Svg.Text(plot.Right + 22, y + 4, row.Text, "tick") },
            row.Interval is { } interval && double.IsFinite(interval.Low) ? Whisker(interval, y, x, color) : null,
            row.Value is { } value ? Svg.Marker(style.Color, x[value], y, style.Marker, 5) : Arrow(x[End], y, color));
    }

    private IEnumerable<XElement> Whisker(Interval interval, double y, TokenScale x, string color)
    {
        var low = x[Math.Min(interval.Low, End)];
        var open = double.IsInfinity(interval.High);
        var high = open ? x[End] : x[interval.High];
        yield return Svg.Line(low, y, high, y, $"whisker {color}");
        yield return Svg.Line(low, y - 4, low, y + 4, $"whisker {color}");
        if (open)
        {
            yield return Arrow(x[End], y, color);
        }
        else
        {
            yield return Svg.Line(high, y - 4, high, y + 4, $"whisker {color}");
        }
    }

    private static XElement Arrow(double x, double y, string color) => Svg.Path([(x + 3, y - 5), (x + 10, y), (x + 3, y + 5)], $"arrow {color}");
}
