using CutoffLen.Common;
using CutoffLen.Evaluation.Measures;
using Spectre.Console;

namespace CutoffLen.Reports;

/// <summary>Passkey retrieval on the terminal: shares found by depth and length, and how far back keys are found.</summary>
public static class PasskeyConsole
{
    /// <summary>The table of one model and method.</summary>
    public static Table Table(string label, PasskeyResult passkey)
    {
        var lengths = passkey.Cells.Select(cell => cell.Length).Distinct().Order().ToList();
        var table = new Table().RoundedBorder().Title(new TableTitle(Markup.Escape($"passkeys found, {label}")));
        table.AddColumn(new TableColumn("depth").RightAligned());
        foreach (var length in lengths)
        {
            table.AddColumn(new TableColumn(Numbers.Tokens(length)).RightAligned());
        }

        foreach (var row in passkey.Cells.GroupBy(cell => cell.Depth).OrderBy(row => row.Key))
        {
            table.AddRow([
                new Text(Numbers.Percent(row.Key)),
                .. row.OrderBy(cell => cell.Length).Select(cell => new Text($"{cell.Found}/{cell.Trials}", Shade(cell.Accuracy))),
            ]);
        }

        table.AddEmptyRow();
        table.AddRow([new Text("k_max"), .. lengths.Select(length => new Text(Numbers.Count(passkey.LargestDistance(length))))]);
        table.AddRow([new Text("mean rank"), .. lengths.Select(length => new Text(Rank([.. passkey.Cells.Where(cell => cell.Length == length)])))]);
        return table;
    }

    private static string Rank(IReadOnlyList<PasskeyCell> cells) =>
        FormattableString.Invariant($"{cells.Average(cell => cell.MeanRank):0.0} of {cells.Max(cell => cell.Candidates)}");

    private static Style Shade(double accuracy) => accuracy switch { >= 0.995 => new Style(Color.Green), >= PasskeyResult.LeastAccuracy => new Style(Color.Yellow), _ => new Style(Color.Grey) };
}
