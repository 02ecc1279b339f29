using CutoffLen.Reports.Charts;

namespace CutoffLen.Reports.Html;

/// <summary>The page's CSS. It has no characters that XML escapes: a browser does not unescape a style element.</summary>
internal static class Stylesheet
{
    /// <summary>The text of the style element.</summary>
    public static string Text { get; } = Palette.Variables + Palette.Charts + """

        *{box-sizing:border-box}
        html{-webkit-text-size-adjust:100%}
        body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
        main{max-width:960px;margin:0 auto;padding:40px 40px 80px}
        header{margin-bottom:8px}
        .kicker{margin:0 0 6px;color:var(--soft);font-size:13px;letter-spacing:.02em}
        h1{margin:0 0 14px;font-size:30px;line-height:1.2;font-weight:650;letter-spacing:-.015em;text-wrap:balance}
        .findings{margin:0;padding:0;list-style:none;max-width:68ch}
        .findings li{margin:4px 0}
        h2{margin:0 0 4px;font-size:20px;line-height:1.3;font-weight:650;letter-spacing:-.01em}
        h3{margin:22px 0 2px;font-size:15px;font-weight:650}
        section{margin-top:52px}
        .lead{margin:0 0 14px;color:var(--soft);max-width:72ch}
        figure{margin:10px 0 18px}
        figcaption{margin-top:6px;color:var(--soft);font-size:13px;max-width:80ch}
        svg{display:block;width:100%;height:auto;overflow:visible}
        svg.narrow{display:none}
        .scroll{overflow-x:auto;margin:10px 0 16px;-webkit-overflow-scrolling:touch}
        table{border-collapse:collapse;font-size:14px;line-height:1.35;font-variant-numeric:tabular-nums;min-width:min(100%,420px)}
        caption{text-align:left;color:var(--soft);font-size:13px;padding-bottom:6px;caption-side:top}
        th,td{padding:7px 10px;text-align:right;vertical-align:top;white-space:nowrap;border-bottom:1px solid var(--faint)}
        th:first-child,td:first-child{text-align:left;padding-left:0;position:sticky;left:0;background:var(--page);white-space:normal;overflow-wrap:break-word;min-width:11ch;max-width:26ch}
        thead th{font-weight:500;color:var(--soft);border-bottom:1px solid var(--soft);vertical-align:bottom}
        tbody th{font-weight:600}
        td.prose,th.prose{text-align:left;white-space:normal;min-width:24ch}
        .sub{display:block;color:var(--soft);font-size:11px;font-weight:400}
        .best{font-weight:700}
        .missing{color:var(--soft)}
        .better{color:var(--good)}
        .worse{color:var(--bad)}
        .swatch{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:8px;background:var(--c)}
        .settings{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;margin:8px 0;font-size:14px}
        .settings dt{color:var(--soft)}
        .settings dd{margin:0;overflow-wrap:anywhere}
        .notes{margin:8px 0;padding-left:18px;font-size:14px}
        code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace;font-size:.92em;overflow-wrap:anywhere}
        footer{margin-top:64px;padding-top:14px;border-top:1px solid var(--faint);color:var(--soft);font-size:13px}
        .pair{display:grid;grid-template-columns:1fr 1fr;gap:8px 32px}
        .pair h3{margin-top:14px}
        @media (max-width:640px){
        .pair{grid-template-columns:1fr}
        main{padding:24px 18px 60px}
        h1{font-size:24px}
        section{margin-top:40px}
        svg.wide{display:none}
        svg.narrow{display:block}
        .settings{grid-template-columns:1fr;gap:0}
        .settings dd{margin-bottom:8px}
        th,td{padding:6px 9px}
        }
        @media print{
        @page{margin:16mm}
        body{font-size:10.5pt}
        main{max-width:none;padding:0}
        section{margin-top:26px}
        figure,table,.settings{break-inside:avoid}
        h2,h3,.lead{break-after:avoid}
        svg.wide{display:block}
        svg.narrow{display:none}
        .scroll{overflow:visible}
        table{font-size:8.5pt}
        th,td{padding:3px 6px}
        .target{display:none}
        }
        """;
}
