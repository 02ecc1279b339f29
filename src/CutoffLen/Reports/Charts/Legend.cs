using System.Xml.Linq;

namespace CutoffLen.Reports.Charts;

/// <summary>Names of series in rows, for charts too narrow for labels at the lines' ends.</summary>
internal sealed class Legend
{
    private const double RowHeight = 18;
    private readonly List<(string Label, LineStyle Style, double X, double Y)> items = [];

    /// <summary>Lays the names out in rows of a width.</summary>
    public Legend(IEnumerable<(string Label, LineStyle Style)> series, double width)
    {
        double x = 4, y = 12;
        foreach (var (label, style) in series)
        {
            // 11 px text takes about 6.2 px a character.
            var needed = 34 + (6.2 * label.Length);
            if (x > 4 && x + needed > width)
            {
                (x, y) = (4, y + RowHeight);
            }

            items.Add((label, style, x, y));
            x += needed;
        }

        Height = items.Count == 0 ? 0 : y + 4;
    }

    /// <summary>Height of the rows.</summary>
    public double Height { get; }

    /// <summary>The rows, at the chart's top.</summary>
    public IEnumerable<XElement> Draw() => items.Select(item => Svg.Element(
        "g", null,
        Svg.Line(item.X, item.Y, item.X + 18, item.Y, item.Style.Line),
        Svg.Marker(item.Style.Color, item.X + 9, item.Y, item.Style.Marker),
        Svg.Text(item.X + 24, item.Y + 4, item.Label, "legend-label")));
}
