namespace CutoffLen.Reports.Charts;

/// <summary>The style of a series: a hue of the palette, dashed where the palette repeats or the series asks for it.</summary>
/// <param name="Color">Index in the palette.</param>
/// <param name="Dashed">Whether the series is dashed, with hollow markers.</param>
internal readonly record struct LineStyle(int Color, bool Dashed = false)
{
    /// <summary>The class that gives the hue.</summary>
    public string Hue => $"s{Color % Palette.Size}";

    /// <summary>The classes of a line.</summary>
    public string Line => $"line {Hue}{(Dashed != Color >= Palette.Size ? " dashed" : "")}";

    /// <summary>The classes of a marker.</summary>
    public string Marker => $"marker {Hue}{(Dashed ? " hollow" : "")}";
}

/// <summary>
/// Colours and lines of the charts as CSS, light and dark. The hues are Okabe and Ito's, which every kind of colour vision
/// tells apart, darkened or lightened for contrast with the page. The first series, the baseline, is grey.
/// </summary>
internal static class Palette
{
    /// <summary>Number of colours; further series repeat them dashed.</summary>
    public const int Size = 8;

    private static readonly string[] Light = ["#5b5953", "#0072b2", "#cc5200", "#00845f", "#a84f88", "#8f6b00", "#2f93cf", "#6f4bb5"];
    private static readonly string[] Dark = ["#b6b4ac", "#5ab0ea", "#ff8c42", "#37c797", "#e59bc8", "#dfb63a", "#9fd6f7", "#b89df2"];

    private const string LightPage = "--page:#fdfdfc;--ink:#1c1c1a;--soft:#66655f;--faint:#e6e5e0;--panel:#f5f4f0;--heat:#0072b2;--good:#00845f;--bad:#b23a00;";
    private const string DarkPage = "--page:#151514;--ink:#eceae4;--soft:#a19f97;--faint:#32312e;--panel:#1f1e1c;--heat:#5ab0ea;--good:#37c797;--bad:#ff8c42;";

    /// <summary>Colour variables that follow the reader's preference.</summary>
    public static string Variables { get; } =
        $":root{{color-scheme:light dark;{LightPage}{Colors(Light)}}}"
        + $"@media (prefers-color-scheme:dark){{:root{{{DarkPage}{Colors(Dark)}}}}}"
        + $"@media print{{:root{{color-scheme:light;{LightPage}{Colors(Light)}}}}}";

    /// <summary>Styles of the parts of a chart.</summary>
    public static string Charts { get; } = """
        svg{font-family:system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
        svg text{font-size:12px;fill:var(--ink)}
        .tick,.axis-label,.reference-label,.legend-label{font-size:11px}
        .tick,.axis-label,.reference-label{fill:var(--soft)}
        .end-label,.reference-label,.legend-label{paint-order:stroke;stroke:var(--page);stroke-width:3px;stroke-linejoin:round}
        .tick{font-variant-numeric:tabular-nums}
        .grid{stroke:var(--faint);stroke-width:1}
        .axis{stroke:var(--soft);stroke-width:1}
        .reference{stroke:var(--soft);stroke-width:1}
        .predicted{stroke-dasharray:2 3}
        .line{fill:none;stroke:var(--c);stroke-width:2;stroke-linejoin:round;stroke-linecap:round}
        .dashed{stroke-dasharray:6 4}
        .marker{fill:var(--c);stroke:var(--page);stroke-width:1.2}
        .hollow{fill:var(--page);stroke:var(--c);stroke-width:1.8}
        .guide{fill:none;stroke:var(--soft);stroke-width:1;stroke-dasharray:2 3}
        .target{fill:transparent}
        .point:hover .marker{stroke:var(--c);stroke-width:5;stroke-opacity:.35}
        .band{fill:var(--c);fill-opacity:.13;stroke:none}
        .leader{fill:none;stroke:var(--c);stroke-width:1;stroke-opacity:.55}
        svg .end-label{fill:var(--c);font-weight:600}
        .whisker{stroke:var(--c);stroke-width:2;stroke-linecap:round}
        .thin{stroke-width:1.2;stroke-opacity:.6}
        .arrow{fill:none;stroke:var(--c);stroke-width:2;stroke-linecap:round;stroke-linejoin:round}
        .cell{stroke:var(--page);stroke-width:1.5}
        .cell-base{fill:var(--panel)}
        .cell-heat{fill:var(--heat)}
        svg .cell-label{font-size:11px;font-variant-numeric:tabular-nums}
        svg .on-heat{fill:var(--page)}
        """ + string.Concat(Enumerable.Range(0, Size).Select(i => $".s{i}{{--c:var(--s{i})}}"));

    private static string Colors(string[] colors) => string.Concat(colors.Select((color, i) => $"--s{i}:{color};"));
}
