using System.Globalization;
using System.Xml.Linq;
using CutoffLen.Common;

namespace CutoffLen.Reports.Charts;

/// <summary>A tick of an axis.</summary>
/// <param name="Value">In data units.</param>
/// <param name="Label">What stands there; empty for a line without a label.</param>
internal readonly record struct Tick(double Value, string Label);

/// <summary>Maps data to pixels, with ticks at round numbers.</summary>
internal abstract class Scale(double from, double to)
{
    /// <summary>The pixel of a value.</summary>
    public double this[double value] => from + ((to - from) * Share(value));

    /// <summary>The ticks inside the scale.</summary>
    /// <param name="most">At most so many have labels.</param>
    public abstract IReadOnlyList<Tick> Ticks(int most);

    /// <summary>0 at the scale's start, 1 at its end.</summary>
    protected abstract double Share(double value);
}

/// <summary>A linear scale whose ends are ticks.</summary>
internal sealed class LinearScale : Scale
{
    private readonly double low;
    private readonly double high;
    private readonly double step;

    public LinearScale(double low, double high, double from, double to, int ticks = 6)
        : base(from, to)
    {
        step = NiceStep(Math.Max(high - low, 1e-9) / Math.Max(1, ticks - 1));
        this.low = Math.Floor((low / step) + 1e-9) * step;
        this.high = Math.Max(this.low + step, Math.Ceiling((high / step) - 1e-9) * step);
    }

    public override IReadOnlyList<Tick> Ticks(int most)
    {
        var decimals = Math.Max(0, (int)Math.Ceiling(-Math.Log10(step) - 1e-9));
        var count = (int)Math.Round((high - low) / step);
        return [.. Enumerable.Range(0, count + 1).Select(i => low + (i * step)).Select(v => new Tick(v, v.ToString($"F{decimals}", CultureInfo.InvariantCulture)))];
    }

    protected override double Share(double value) => (value - low) / (high - low);

    // 1, 2 or 5 times a power of ten, at least as large.
    private static double NiceStep(double rough)
    {
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        return power * ((rough / power) switch { <= 1.0001 => 1, <= 2.0001 => 2, <= 5.0001 => 5, _ => 10 });
    }
}

/// <summary>A logarithmic scale of perplexities: ticks at 1, 2, 5 in each decade, or at decades alone.</summary>
internal sealed class LogScale : Scale
{
    private readonly double low;
    private readonly double high;

    public LogScale(double low, double high, double from, double to)
        : base(from, to)
    {
        // An axis spans at least a factor of 2, so a flat curve looks flat.
        var middle = Math.Sqrt(low * high);
        this.low = Math.Log(Math.Min(low / 1.04, middle / Math.Sqrt(2)));
        this.high = Math.Log(Math.Max(high * 1.04, middle * Math.Sqrt(2)));
    }

    public override IReadOnlyList<Tick> Ticks(int most)
    {
        double[][] choices = [[1, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 4.5, 5, 6, 7, 8, 9], [1, 1.5, 2, 3, 4, 5, 6, 8], [1, 2, 3, 5], [1, 2, 5], [1, 3], [1]];
        foreach (var mantissas in choices)
        {
            var values = Values(mantissas, 1);
            if (values.Count <= most)
            {
                return [.. values.Select(v => new Tick(v, Numbers.Short(v)))];
            }
        }

        for (var decades = 2; ; decades++)
        {
            var values = Values([1], decades);
            if (values.Count <= most)
            {
                return [.. values.Select(v => new Tick(v, Numbers.Short(v)))];
            }
        }
    }

    protected override double Share(double value) => (Math.Log(value) - low) / (high - low);

    private List<double> Values(double[] mantissas, int decades)
    {
        var values = new List<double>();
        for (var exponent = (int)Math.Floor(low / Math.Log(10)); exponent <= high / Math.Log(10); exponent++)
        {
            if (exponent % decades == 0)
            {
                values.AddRange(mantissas.Select(m => m * Math.Pow(10, exponent)).Where(v => Math.Log(v) >= low - 1e-9 && Math.Log(v) <= high + 1e-9));
            }
        }

        return values;
    }
}

/// <summary>A logarithmic scale of token counts: ticks at powers of two.</summary>
internal sealed class TokenScale(double low, double high, double from, double to) : Scale(from, to)
{
    private readonly double low = Math.Log2(low);
    private readonly double high = Math.Max(Math.Log2(high), Math.Log2(low) + 0.5);

    public override IReadOnlyList<Tick> Ticks(int most)
    {
        var powers = Enumerable.Range((int)Math.Ceiling(low - 1e-9), Math.Max(0, (int)Math.Floor(high + 1e-9) - (int)Math.Ceiling(low - 1e-9) + 1)).ToList();
        var every = Math.Max(1, (int)Math.Ceiling(powers.Count / (double)most));
        // The last power always has a label.
        return [.. powers.Select((p, i) => new Tick(Math.Pow(2, p), (powers.Count - 1 - i) % every == 0 ? Numbers.Tokens(Math.Pow(2, p)) : ""))];
    }

    protected override double Share(double value) => (Math.Log2(value) - low) / (high - low);
}

/// <summary>The rectangle between the axes.</summary>
internal readonly record struct PlotArea(double MarginLeft, double MarginRight, double Top, double MarginBottom, double Width, double Height)
{
    public double Left => MarginLeft;

    public double Right => Width - MarginRight;

    public double Bottom => Height - MarginBottom;
}

/// <summary>The two axes of a plot with ticks and labels, and its horizontal grid lines.</summary>
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
