using System.Xml.Linq;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports.Charts;

/// <summary>A point of a scatter chart.</summary>
/// <param name="X">Tokens.</param>
/// <param name="Y">In the chart's unit.</param>
/// <param name="Style">Hue and shape; dashed means hollow.</param>
/// <param name="Tag">Stands beside the point; empty for nothing.</param>
/// <param name="Tip">What a pointer on it shows.</param>
internal sealed record ScatterPoint(double X, double Y, LineStyle Style, string Tag, string Tip)
{
    /// <summary>95% interval of X.</summary>
    public Interval? XInterval { get; init; }

    /// <summary>95% interval of Y.</summary>
    public Interval? YInterval { get; init; }

    /// <summary>Whether the effective context is a lower bound, drawn with an arrow along its axis.</summary>
    public bool IsOpen { get; init; }

    /// <summary>Shift to the right in pixels, so that points at one X do not hide each other.</summary>
    public double Shift { get; init; }
}

/// <summary>A line through a scatter chart.</summary>
/// <param name="Points">In data units.</param>
/// <param name="Style">Its classes.</param>
internal sealed record ScatterLine(IReadOnlyList<(double X, double Y)> Points, string Style);

/// <summary>Points over a logarithmic axis.</summary>
/// <param name="Label">The text for screen readers.</param>
/// <param name="XLabel">Under the axis.</param>
/// <param name="YLabel">Above the axis.</param>
/// <param name="TokensUp">Whether the vertical axis counts tokens too, logarithmically; else it is linear.</param>
/// <param name="Legend">Names of the hues.</param>
/// <param name="Points">The points.</param>
/// <param name="Lines">Lines under them.</param>
internal sealed record ScatterChart(
    string Label, string XLabel, string YLabel, bool TokensUp, IReadOnlyList<(string Label, LineStyle Style)> Legend,
    IReadOnlyList<ScatterPoint> Points, IReadOnlyList<ScatterLine> Lines)
{
    private const double Top = 26;
    private const double Bottom = 46;

    /// <summary>Whether the horizontal axis counts tokens, with ticks at powers of two; else ticks are at round decimal numbers.</summary>
    public bool TokensAcross { get; init; } = true;

    /// <summary>Token counts that the token axes always include.</summary>
    public IReadOnlyList<double> Shown { get; init; } = [];

    /// <summary>Draws at a width.</summary>
    public XElement Draw(double width, string style)
    {
        var narrow = width < 500;
        var legend = new Legend(Legend, width);
        var height = (narrow ? 300 : 360) + legend.Height;
        var plot = new PlotArea(46, narrow ? 18 : 40, Top + legend.Height + 8, Bottom, width, height);
        var (x, y) = (XScale(plot), YScale(plot));
        return Svg.Picture(
            width, height, Label, style,
            legend.Draw(),
            Axes.Draw(plot, x, y, narrow, (XLabel, YLabel), above: 12),
            Lines.Select(line => Svg.Path(Clipped(line.Points.Select(p => (x[p.X], y[p.Y])), plot), line.Style)),
            Points.Select(point => Whiskers(point, plot, x, y)),
            Points.Select(point => Draw(point, plot, x, y)));
    }

    private Scale XScale(PlotArea plot) => TokensAcross
        ? Tokens(Points.Select(p => p.X), 1.15, plot.Left, plot.Right)
        : new LogScale(Points.Min(p => p.X) / 1.15, Points.Max(p => p.X) * 1.15, plot.Left, plot.Right);

    private TokenScale Tokens(IEnumerable<double> values, double room, double from, double to)
    {
        var all = values.Concat(Shown).ToList();
        return new TokenScale(all.Min() / room, all.Max() * room, from, to);
    }

    private Scale YScale(PlotArea plot)
    {
        if (TokensUp)
        {
            return Tokens(Points.Select(p => p.Y), 1.25, plot.Bottom, plot.Top);
        }

        var (low, high) = (Points.Min(p => p.Y), Points.Max(p => p.Y));
        var room = Math.Max(0.02, 0.08 * (high - low));
        return new LinearScale(low - room, high + room, plot.Bottom, plot.Top);
    }

    private static IEnumerable<XElement> Whiskers(ScatterPoint point, PlotArea plot, Scale x, Scale y)
    {
        var (px, py) = (x[point.X] + point.Shift, y[point.Y]);
        if (point.YInterval is { } up)
        {
            yield return Svg.Line(px, Inside(y, up.Low, plot.Bottom, plot.Top), px, Inside(y, up.High, plot.Bottom, plot.Top), $"whisker thin {point.Style.Hue}");
        }

        if (point.XInterval is { } along)
        {
            yield return Svg.Line(Inside(x, along.Low, plot.Left, plot.Right), py, Inside(x, along.High, plot.Left, plot.Right), py, $"whisker thin {point.Style.Hue}");
        }
    }

    private XElement Draw(ScatterPoint point, PlotArea plot, Scale x, Scale y)
    {
        var (px, py) = (x[point.X] + point.Shift, y[point.Y]);
        var left = px > plot.Right - 30;
        IReadOnlyList<(double X, double Y)> arrow = TokensUp
            ? [(px - 4, py - 8), (px, py - 13), (px + 4, py - 8)]
            : [(px + 8, py - 4), (px + 13, py), (px + 8, py + 4)];
        return Svg.Element(
            "g", "point",
            Svg.Title(point.Tip),
            Svg.Element("circle", "target", Svg.At("cx", px), Svg.At("cy", py), Svg.At("r", 10)),
            Svg.Marker(point.Style.Color, px, py, point.Style.Marker, 4.6),
            point.IsOpen ? Svg.Path(arrow, $"arrow {point.Style.Hue}") : null,
            point.Tag.Length == 0 ? null : Svg.Text(left ? px - 8 : px + (point.IsOpen ? 17 : 8), py - 6, point.Tag, "legend-label", left ? "end" : "start"));
    }

    // An infinite end is at the chart's edge.
    private static double Inside(Scale scale, double value, double from, double to) =>
        double.IsFinite(value) ? Math.Clamp(scale[value], Math.Min(from, to), Math.Max(from, to)) : to;

    /// <summary>The part of a line segment inside the plot.</summary>
    private static IEnumerable<(double X, double Y)> Clipped(IEnumerable<(double X, double Y)> points, PlotArea plot)
    {
        var all = points.ToList();
        if (all.Count != 2)
        {
            return all.Select(p => (Math.Clamp(p.X, plot.Left, plot.Right), Math.Clamp(p.Y, plot.Top, plot.Bottom)));
        }

        var ((x0, y0), (x1, y1)) = (all[0], all[1]);
        var (from, to) = (0.0, 1.0);
        foreach (var (start, change, low, high) in new[] { (x0, x1 - x0, plot.Left, plot.Right), (y0, y1 - y0, plot.Top, plot.Bottom) })
        {
            if (Math.Abs(change) > 1e-9)
            {
                var (a, b) = ((low - start) / change, (high - start) / change);
                (from, to) = (Math.Max(from, Math.Min(a, b)), Math.Min(to, Math.Max(a, b)));
            }
        }

        return from >= to ? [all[0]] : [(x0 + (from * (x1 - x0)), y0 + (from * (y1 - y0))), (x0 + (to * (x1 - x0)), y0 + (to * (y1 - y0)))];
    }
}
