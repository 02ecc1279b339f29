using System.Xml.Linq;
using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports.Charts;

/// <summary>A point of a series.</summary>
/// <param name="X">In tokens.</param>
/// <param name="Y">In the chart's unit.</param>
/// <param name="Interval">95% interval, shaded.</param>
/// <param name="Tip">What a pointer on it shows.</param>
internal sealed record ChartPoint(double X, double Y, Interval? Interval, string Tip);

/// <summary>A line of a chart.</summary>
/// <param name="Label">Stands at the line's end.</param>
/// <param name="Points">By ascending X.</param>
internal sealed record Series(string Label, IReadOnlyList<ChartPoint> Points)
{
    /// <summary>Its palette index, where that is not its index in the chart: a method keeps its colour over charts.</summary>
    public int? Color { get; init; }

    /// <summary>Whether its line is dashed.</summary>
    public bool Dashed { get; init; }

    /// <summary>How it is drawn as the chart's series of an index.</summary>
    public LineStyle StyleAt(int index) => new(Color ?? index, Dashed);
}

/// <summary>A vertical line at a number of tokens, such as the native length.</summary>
/// <param name="X">Tokens.</param>
/// <param name="Label">Stands above the plot.</param>
/// <param name="IsPrediction">Whether it is a prediction, drawn dashed.</param>
internal sealed record Reference(double X, string Label, bool IsPrediction);

/// <summary>
/// Lines over a logarithmic axis of token counts, or a linear one, with shaded intervals, reference lines and labels at the lines' ends.
/// A line that explodes leaves the chart at the top with an arrow, so the others keep their room.
/// </summary>
/// <param name="Label">The text for screen readers.</param>
/// <param name="XLabel">Under the axis.</param>
/// <param name="YLabel">Above the axis.</param>
/// <param name="LogY">Whether the vertical axis is logarithmic.</param>
/// <param name="Ceiling">
/// How far the axis goes above the lowest value at most, as a factor (logarithmic) or a difference. It applies only when
/// some line stays below it.
/// </param>
/// <param name="Series">The lines; the first is the baseline.</param>
/// <param name="References">Vertical lines.</param>
internal sealed record LineChart(
    string Label, string XLabel, string YLabel, bool LogY, double Ceiling, IReadOnlyList<Series> Series, IReadOnlyList<Reference> References)
{
    private const double Top = 44;
    private const double Bottom = 46;
    private const double LabelHeight = 15;

    /// <summary>Whether the horizontal axis is linear.</summary>
    public bool IsLinearX { get; init; }

    /// <summary>Draws at a size. A narrow chart has a legend above instead of labels at the lines' ends.</summary>
    public XElement Draw(double width, double height, string style)
    {
        var narrow = width < 500;
        var legend = narrow ? new Legend(Series.Select((s, i) => (s.Label, s.StyleAt(i))), width) : null;
        var top = Top + (legend?.Height ?? 0);
        var plot = new PlotArea(46, narrow ? 14 : LabelWidth(), top, Bottom, width, height);
        var (x, y) = (XScale(plot), YScale(plot));
        return Svg.Picture(
            width, height, Label, style,
            legend?.Draw(),
            Axes.Draw(plot, x, y, narrow, (XLabel, YLabel), above: 28),
            References.OrderBy(r => r.X).Select((r, i) => DrawReference(plot, x, r, i)),
            Series.Select((s, i) => Band(s, i, x, y, plot)),
            Series.Select((s, i) => Line(s, i, x, y, plot)),
            narrow ? null : EndLabels(plot, x, y));
    }

    // A bold label at 12 px takes about 7.4 px a character. The label of a line that leaves the chart has its last value too.
    private double LabelWidth() => Math.Clamp(26 + (7.4 * Series.Max(s => s.Label.Length)), 90, 260);

    private Scale XScale(PlotArea plot)
    {
        var xs = Series.SelectMany(s => s.Points).Select(p => p.X).ToList();
        return IsLinearX ? new LinearScale(xs.Min(), xs.Max(), plot.Left, plot.Right) : new TokenScale(xs.Min(), xs.Max(), plot.Left, plot.Right);
    }

    private Scale YScale(PlotArea plot)
    {
        // The means decide the range, with some room around them: intervals of small samples can be wild.
        var ends = Series.Where(s => s.Points.Count > 0).Select(s => (Low: s.Points.Min(p => p.Y), High: s.Points.Max(p => p.Y))).ToList();
        var low = ends.Min(e => e.Low);
        var ceiling = LogY ? low * Ceiling : low + Ceiling;
        var high = ends.Any(e => e.High <= ceiling) ? Math.Min(ends.Max(e => e.High), ceiling) : ends.Max(e => e.High);
        if (LogY)
        {
            return new LogScale(low, high, plot.Bottom, plot.Top);
        }

        var room = Math.Max(0.05, 0.06 * (high - low));
        return new LinearScale(Math.Max(0, low - room), high + room, plot.Bottom, plot.Top);
    }

    private static XElement? DrawReference(PlotArea plot, Scale x, Reference reference, int index)
    {
        var at = x[reference.X];
        if (at < plot.Left - 0.5 || at > plot.Right + 0.5)
        {
            return null;
        }

        // Neighbouring labels alternate between two rows. A label near the right edge stands to the left of its line.
        var row = plot.Top - 4 - (index % 2 * 13);
        var anchor = at > plot.Right - 90 ? "end" : at < plot.Left + 40 ? "start" : "middle";
        return Svg.Element(
            "g", null,
            Svg.Title($"{reference.Label}: {Numbers.Count(reference.X)} tokens"),
            Svg.Line(at, row + 3, at, plot.Bottom, reference.IsPrediction ? "reference predicted" : "reference"),
            Svg.Text(at, row, reference.Label, "reference-label", anchor));
    }

    private static IEnumerable<XElement> Band(Series series, int index, Scale x, Scale y, PlotArea plot)
    {
        var points = series.Points.TakeWhile(p => y[p.Y] >= plot.Top).Where(p => p.Interval is { } i && double.IsFinite(i.High)).ToList();
        if (points.Count > 1)
        {
            var upper = points.Select(p => (x[p.X], Inside(y[p.Interval!.Value.High])));
            var lower = points.Select(p => (x[p.X], Inside(y[p.Interval!.Value.Low]))).Reverse();
            yield return Svg.Path(upper.Concat(lower), $"band {series.StyleAt(index).Hue}", closed: true);
        }

        double Inside(double place) => Math.Clamp(place, plot.Top, plot.Bottom);
    }

    private static XElement Line(Series series, int index, Scale x, Scale y, PlotArea plot)
    {
        var style = series.StyleAt(index);
        var color = style.Hue;
        var places = series.Points.Select(p => (X: x[p.X], Y: y[p.Y])).ToList();
        return Svg.Element(
            "g", null,
            Pieces(places, plot.Top).Select(piece => Svg.Path(piece.Points, style.Line)),
            Pieces(places, plot.Top).Where(piece => piece.Leaves).Select(piece => piece.Points[^1]).Select(end =>
                Svg.Path([(end.X - 5, end.Y + 1), (end.X, end.Y - 6), (end.X + 5, end.Y + 1)], $"arrow {color}")),
            series.Points.Where(p => y[p.Y] >= plot.Top).Select(p => Svg.Element(
                "g", "point",
                Svg.Title($"{series.Label}\n{p.Tip}"),
                Svg.Element("circle", "target", Svg.At("cx", x[p.X]), Svg.At("cy", y[p.Y]), Svg.At("r", 9)),
                Svg.Marker(style.Color, x[p.X], y[p.Y], style.Marker, places.Count > 16 ? 2.5 : 3.6))));
    }

    /// <summary>The parts of a line below the chart's top, each up to where it leaves.</summary>
    private static IEnumerable<(List<(double X, double Y)> Points, bool Leaves)> Pieces(List<(double X, double Y)> places, double top)
    {
        var piece = new List<(double X, double Y)>();
        for (var i = 0; i < places.Count; i++)
        {
            var inside = places[i].Y >= top;
            if (i > 0 && inside != places[i - 1].Y >= top)
            {
                var share = (top - places[i - 1].Y) / (places[i].Y - places[i - 1].Y);
                piece.Add((places[i - 1].X + (share * (places[i].X - places[i - 1].X)), top));
            }

            if (inside)
            {
                piece.Add(places[i]);
            }
            else if (piece.Count > 0)
            {
                yield return (piece, true);
                piece = [];
            }
        }

        if (piece.Count > 0)
        {
            yield return (piece, false);
        }
    }

    /// <summary>Names at the lines' ends, moved apart where they would overlap.</summary>
    private IEnumerable<XElement> EndLabels(PlotArea plot, Scale x, Scale y)
    {
        var ends = Series
            .Select((s, i) => (Series: s, Index: i, End: Pieces([.. s.Points.Select(p => (x[p.X], y[p.Y]))], plot.Top).LastOrDefault()))
            .Where(e => e.End.Points is { Count: > 0 })
            .OrderBy(e => e.End.Leaves ? plot.Top - 1 : e.End.Points[^1].Y)
            .ToList();
        var places = Spread([.. ends.Select(e => e.End.Points[^1].Y)], plot.Top + 4, plot.Bottom);
        for (var k = 0; k < ends.Count; k++)
        {
            var (series, index, end) = ends[k];
            var ((fromX, fromY), color) = (end.Points[^1], series.StyleAt(index).Hue);
            yield return Svg.Path(
                end.Leaves
                    ? [(fromX + 8, fromY - 2), (plot.Right + 17, places[k])]
                    : [(fromX + 7, fromY), (fromX + 12, fromY), (plot.Right + 14, places[k]), (plot.Right + 17, places[k])],
                $"leader {color}");
            var label = end.Leaves ? $"{series.Label} ↑ {Numbers.Short(Math.Round(series.Points[^1].Y, series.Points[^1].Y < 10 ? 1 : 0))}" : series.Label;
            yield return Svg.Text(plot.Right + 20, places[k] + 4, label, $"end-label {color}");
        }
    }

    /// <summary>Label positions in the given order, at least a label's height apart, near the wanted ones.</summary>
    internal static double[] Spread(double[] wanted, double top, double bottom)
    {
        var places = wanted.ToArray();
        for (var i = 1; i < places.Length; i++)
        {
            places[i] = Math.Max(places[i], places[i - 1] + LabelHeight);
        }

        for (var i = places.Length - 1; i >= 0; i--)
        {
            places[i] = Math.Min(places[i], i == places.Length - 1 ? bottom : places[i + 1] - LabelHeight);
        }

        return Array.ConvertAll(places, place => Math.Max(place, top - (LabelHeight * places.Length)));
    }
}
