using System.Xml.Linq;

namespace CutoffLen.Reports.Charts;

/// <summary>A cell of a heat map.</summary>
/// <param name="Share">0 to 1, the strength of its colour.</param>
/// <param name="Label">In the cell, where there is room.</param>
/// <param name="Tip">What a pointer on it shows.</param>
internal sealed record HeatCell(double Share, string Label, string Tip);

/// <summary>A grid of shares in one hue from empty to full, readable in grey and in print too.</summary>
/// <param name="Label">The text for screen readers.</param>
/// <param name="XLabel">Under the columns.</param>
/// <param name="YLabel">Above the rows' names.</param>
/// <param name="Columns">Names of the columns.</param>
/// <param name="Rows">Names of the rows.</param>
/// <param name="Cells">Row by row.</param>
internal sealed record HeatMap(
    string Label, string XLabel, string YLabel, IReadOnlyList<string> Columns, IReadOnlyList<string> Rows, IReadOnlyList<IReadOnlyList<HeatCell>> Cells)
{
    private const double Top = 26;
    private const double Bottom = 40;

    /// <summary>Draws at a width; cells keep a readable height.</summary>
    public XElement Draw(double width, string style)
    {
        var left = Math.Max(52, 16 + (6.4 * Rows.Max(row => row.Length)));
        var cellWidth = Math.Min(96, (width - left - 6) / Columns.Count);
        const double cellHeight = 26;
        var height = Top + (cellHeight * Rows.Count) + Bottom;
        return Svg.Picture(
            width, height, Label, style,
            Svg.Text(4, 14, YLabel, "axis-label"),
            Rows.Select((row, r) => Svg.Text(left - 8, Top + (cellHeight * (r + 0.5)) + 4, row, "tick", "end")),
            Columns.Select((column, c) => Svg.Text(left + (cellWidth * (c + 0.5)), height - Bottom + 16, column, "tick", "middle")),
            Svg.Text(left + (cellWidth * Columns.Count / 2), height - 6, XLabel, "axis-label", "middle"),
            Cells.Select((row, r) => row.Select((cell, c) => DrawCell(cell, left + (cellWidth * c), Top + (cellHeight * r), cellWidth, cellHeight))));
    }

    private static XElement DrawCell(HeatCell cell, double x, double y, double width, double height)
    {
        XElement Box(string style, double opacity) => Svg.Element(
            "rect", style, Svg.At("x", x), Svg.At("y", y), Svg.At("width", width), Svg.At("height", height), Svg.At("rx", 2), Svg.At("fill-opacity", opacity));
        return Svg.Element(
            "g", null,
            Svg.Title(cell.Tip),
            Box("cell cell-base", 1),
            cell.Share > 0 ? Box("cell cell-heat", 0.08 + (0.92 * cell.Share)) : null,
            width >= 30 ? Svg.Text(x + (width / 2), y + (height / 2) + 4, cell.Label, cell.Share > 0.5 ? "cell-label on-heat" : "cell-label", "middle") : null);
    }
}
