using System.Globalization;
using System.Xml;
using System.Xml.Linq;

namespace CutoffLen.Reports.Charts;

/// <summary>SVG elements as XML trees; the serializer escapes text.</summary>
internal static class Svg
{
    private static readonly XNamespace Namespace = "http://www.w3.org/2000/svg";

    /// <summary>An element of a class, with attributes and content as <see cref="XElement"/> takes them.</summary>
    public static XElement Element(string name, string? style, params object?[] content) =>
        new(Namespace + name, style is null ? null : new XAttribute("class", style), content);

    /// <summary>A number as an attribute: two decimals are a fiftieth of the thinnest line.</summary>
    public static XAttribute At(string name, double value) => new(name, Number(value));

    /// <summary>An attribute with text.</summary>
    public static XAttribute At(string name, string value) => new(name, Clean(value));

    /// <summary>The tooltip of an element.</summary>
    public static XElement Title(string text) => new(Namespace + "title", Clean(text));

    /// <summary>Text; <paramref name="anchor"/> is start, middle or end.</summary>
    public static XElement Text(double x, double y, string text, string style, string anchor = "start") =>
        Element("text", style, At("x", x), At("y", y), anchor == "start" ? null : At("text-anchor", anchor), Clean(text));

    /// <summary>A straight line.</summary>
    public static XElement Line(double x1, double y1, double x2, double y2, string style) =>
        Element("line", style, At("x1", x1), At("y1", y1), At("x2", x2), At("y2", y2));

    /// <summary>A line through points, or a filled shape when its class fills.</summary>
    public static XElement Path(IEnumerable<(double X, double Y)> points, string style, bool closed = false) => Element(
        "path", style, At("d", string.Concat(points.Select((p, i) => $"{(i == 0 ? 'M' : 'L')}{Number(p.X)} {Number(p.Y)}")) + (closed ? "Z" : "")));

    /// <summary>A marker around a point; series differ in shape as well as in colour.</summary>
    public static XElement Marker(int series, double x, double y, string style, double r = 3.6) => (series % 4) switch
    {
        1 => Path([(x - r, y - r), (x + r, y - r), (x + r, y + r), (x - r, y + r)], style, closed: true),
        2 => Path([(x, y - (1.25 * r)), (x + (1.2 * r), y + (0.95 * r)), (x - (1.2 * r), y + (0.95 * r))], style, closed: true),
        3 => Path([(x, y - (1.4 * r)), (x + (1.4 * r), y), (x, y + (1.4 * r)), (x - (1.4 * r), y)], style, closed: true),
        _ => Element("circle", style, At("cx", x), At("cy", y), At("r", r)),
    };

    /// <summary>The outermost element: scales to its container, and is one image to a screen reader.</summary>
    public static XElement Picture(double width, double height, string label, string style, params object?[] content) => Element(
        "svg", style, At("viewBox", $"0 0 {Number(width)} {Number(height)}"), At("role", "img"), At("aria-label", label), content);

    /// <summary>Text without the characters that no XML may hold, such as control characters in a file name.</summary>
    public static string Clean(string text)
    {
        if (text.All(XmlConvert.IsXmlChar))
        {
            return text;
        }

        return string.Concat(text.EnumerateRunes().Select(rune => rune.Utf16SequenceLength == 2 || XmlConvert.IsXmlChar((char)rune.Value) ? rune.ToString() : "\uFFFD"));
    }

    private static string Number(double value) => Math.Round(value, 2).ToString("0.##", CultureInfo.InvariantCulture);
}
