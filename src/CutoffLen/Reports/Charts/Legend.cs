using System.Xml.Linq;

namespace CutoffLen.Reports.Charts;

/// <summary>Names of series in rows, for pictures too narrow to write them at the lines' ends.</summary>
internal sealed class Legend
{
    private const double RowHeight = 18;
    private readonly List<(string Label, double X, double Y)> items = [];

    /// <summary>Lays the names out in rows of a width.</summary>
    public Legend(IEnumerable<string> labels, double width)
    {
        double x = 4, y = 12;
        foreach (var label in labels)
        {
            // 11 px text takes about 6.2 px a character.
            var needed = 34 + (6.2 * label.Length);
            if (x > 4 && x + needed > width)
            {
                (x, y) = (4, y + RowHeight);
            }

            items.Add((label, x, y));
            x += needed;
        }

        Height = items.Count == 0 ? 0 : y + 4;
    }

    /// <summary>What the rows take from the picture's height.</summary>
    public double Height { get; }

    /// <summary>The rows, at the picture's top.</summary>
    public IEnumerable<XElement> Draw() => items.Select((item, i) => Svg.Element(
        "g", null,
        Svg.Line(item.X, item.Y, item.X + 18, item.Y, $"line s{i % Palette.Size}{(i >= Palette.Size ? " dashed" : "")}"),
        Svg.Marker(i, item.X + 9, item.Y, $"marker s{i % Palette.Size}"),
        Svg.Text(item.X + 24, item.Y + 4, item.Label, "legend-label")));
}
