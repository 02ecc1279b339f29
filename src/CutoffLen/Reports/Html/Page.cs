using System.Xml.Linq;
using CutoffLen.Reports.Charts;

namespace CutoffLen.Reports.Html;

/// <summary>
/// Elements of an HTML page as XML trees. A page is one file: styles and charts are inside, nothing is fetched. It is also
/// well-formed XML, with every element closed by its own tag.
/// </summary>
internal static class Page
{
    /// <summary>An element with a class.</summary>
    public static XElement Element(string name, string? style, params object?[] content) =>
        new(name, style is null ? null : new XAttribute("class", style), "", content.Select(Cleaned));

    /// <summary>An element without a class.</summary>
    public static XElement Plain(string name, params object?[] content) => Element(name, null, content);

    /// <summary>A whole page.</summary>
    /// <param name="title">In the browser's title bar.</param>
    /// <param name="body">Everything in it.</param>
    public static string Document(string title, params object?[] body)
    {
        var root = Plain(
            "html",
            new XAttribute("lang", "en"),
            Plain(
                "head",
                new XElement("meta", new XAttribute("charset", "utf-8")),
                new XElement("meta", new XAttribute("name", "viewport"), new XAttribute("content", "width=device-width, initial-scale=1")),
                new XElement("meta", new XAttribute("name", "color-scheme"), new XAttribute("content", "light dark")),
                Plain("title", title),
                Plain("style", Stylesheet.Text)),
            Plain("body", Plain("main", body)));
        return "<!DOCTYPE html>\n" + root.ToString(SaveOptions.DisableFormatting) + "\n";
    }

    /// <summary>A section with a heading and an introductory line.</summary>
    public static XElement Section(string heading, string? lead, params object?[] content) => Plain(
        "section", Plain("h2", heading), lead is null ? null : Element("p", "lead", lead), content);

    /// <summary>A chart in two layouts; the page shows the one that fits its width.</summary>
    public static XElement Figure(Func<double, string, XElement> draw, string? caption = null) => Plain(
        "figure", draw(880, "wide"), draw(380, "narrow"), caption is null ? null : Plain("figcaption", caption));

    /// <summary>A table that scrolls sideways when the page is too narrow for it.</summary>
    public static XElement Table(string caption, IEnumerable<object> head, IEnumerable<IEnumerable<object>> rows) => Element(
        "div", "scroll",
        new XAttribute("tabindex", "0"),
        Plain(
            "table",
            Plain("caption", caption),
            Plain("thead", Plain("tr", head.Select(cell => Plain("th", new XAttribute("scope", "col"), cell)))),
            Plain("tbody", rows.Select(row => Plain("tr", row.Select((cell, i) => i == 0 ? Plain("th", new XAttribute("scope", "row"), cell) : Plain("td", cell)))))));

    /// <summary>A name that may be broken after its punctuation where a column is narrow.</summary>
    public static IEnumerable<object> Breakable(string name)
    {
        for (int from = 0, at; from < name.Length; from = at)
        {
            at = name.AsSpan(from).IndexOfAny(":,+/") is var found and >= 0 ? from + found + 1 : name.Length;
            yield return Svg.Clean(name[from..at]);
            if (at < name.Length)
            {
                yield return new XElement("wbr");
            }
        }
    }

    /// <summary>The content of a cell without a number.</summary>
    public static XElement Missing() => Element("span", "missing", "–");

    /// <summary>A second, smaller line of a cell.</summary>
    public static XElement Sub(string text) => Element("span", "sub", text);

    private static object? Cleaned(object? content) => content is string text ? Svg.Clean(text) : content;
}
