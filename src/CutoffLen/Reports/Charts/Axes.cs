using System.Xml.Linq;

namespace CutoffLen.Reports.Charts;

/// <summary>The two axes of a plot with ticks and labels, and the grid of its vertical one.</summary>
internal static class Axes
{
    /// <summary>Draws them.</summary>
    /// <param name="plot">The rectangle between them.</param>
    /// <param name="x">The horizontal scale.</param>
    /// <param name="y">The vertical scale.</param>
    /// <param name="narrow">Whether there is room for few ticks only.</param>
    /// <param name="labels">What they measure.</param>
    /// <param name="above">How far above the plot the vertical one's label stands, pixels.</param>
    public static IEnumerable<XElement> Draw(PlotArea plot, Scale x, Scale y, bool narrow, (string X, string Y) labels, double above)
    {
        foreach (var tick in y.Ticks(narrow ? 6 : 8))
        {
            yield return Svg.Line(plot.Left, y[tick.Value], plot.Right, y[tick.Value], "grid");
            yield return Svg.Text(plot.Left - 8, y[tick.Value] + 4, tick.Label, "tick", "end");
        }

        yield return Svg.Line(plot.Left, plot.Bottom, plot.Right, plot.Bottom, "axis");
        foreach (var tick in x.Ticks(narrow ? 6 : 12))
        {
            yield return Svg.Line(x[tick.Value], plot.Bottom, x[tick.Value], plot.Bottom + 4, "axis");
            yield return Svg.Text(x[tick.Value], plot.Bottom + 18, tick.Label, "tick", "middle");
        }

        yield return Svg.Text((plot.Left + plot.Right) / 2, plot.Bottom + 36, labels.X, "axis-label", "middle");
        yield return Svg.Text(4, plot.Top - above, labels.Y, "axis-label");
    }
}
