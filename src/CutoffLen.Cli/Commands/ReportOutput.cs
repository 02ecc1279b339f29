using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Hardware;
using CutoffLen.Reports;
using Spectre.Console;

namespace CutoffLen.Cli.Commands;

/// <summary>The end of every verb that makes a report.</summary>
internal static class ReportOutput
{
    /// <summary>A report of what was measured; its settings begin with the command and the device.</summary>
    public static Report ReportOf(this ParseResult parsed, DeviceAndDtype compute, IReadOnlyList<MeasuredMethod> measured, IEnumerable<Setting> settings) => new(
        DateTimeOffset.Now, $"cutoff {Failure.Version}", compute.DtypeName, [new("command", parsed.Line()), new("device", compute.DeviceName), .. settings], measured);

    /// <summary>Writes a report's files and prints it: as JSON under --json, else as tables with the files' names.</summary>
    public static void Publish(this ParseResult parsed, Report report, string folder)
    {
        var files = ReportFiles.Write(report, folder);
        var terminal = parsed.Terminal();
        if (parsed.GetValue(CommonOptions.Json))
        {
            terminal.PrintJson(ReportJson.Of(report));
            return;
        }

        foreach (var part in ReportConsole.Of(report))
        {
            terminal.Print(part, Text.NewLine);
        }

        terminal.Output.WriteLine($"written: {Path.Combine(folder, string.Join(", ", files))}");
    }
}
