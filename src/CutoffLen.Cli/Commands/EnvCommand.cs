using System.CommandLine;
using System.Runtime.InteropServices;
using Spectre.Console;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff env</c>: what the program runs on.</summary>
internal static class EnvCommand
{
    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("env", "Show what cutoff runs on.") { CommonOptions.Json }.Runs((parsed, _) =>
        {
            var report = new Report(CutoffVersion.Text, RuntimeInformation.FrameworkDescription, RuntimeInformation.OSDescription);
            if (parsed.GetValue(CommonOptions.Json))
            {
                Terminal.PrintJson(report);
                return;
            }

            Terminal.Out.Write(new Grid().AddColumns(2)
                .AddRow("cutoff", report.Cutoff)
                .AddRow(".NET", report.Dotnet)
                .AddRow("system", report.System));
        });

    private sealed record Report(string Cutoff, string Dotnet, string System);
}
