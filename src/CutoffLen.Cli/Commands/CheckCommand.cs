using System.CommandLine;
using CutoffLen.Cli.Interaction;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Hardware;
using CutoffLen.Runs;
using CutoffLen.Runs.Check;
using Spectre.Console;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff check</c>: whether this machine computes what it should, and how fast.</summary>
internal static class CheckCommand
{
    /// <summary>The command with its options.</summary>
    public static Command Create() => Create((compute, display, stop) => MachineCheck.Run(compute, display: display, stop: stop));

    /// <summary>The command around another check.</summary>
    internal static Command Create(Func<DeviceAndDtype, IRunDisplay, CancellationToken, CheckReport> check) => new Command(
        "check",
        "Check this machine, without a model or data: every position method and QLoRA against the formulas in float64, speed, memory, resuming.")
        {
            CommonOptions.Device,
            CommonOptions.Dtype,
            CommonOptions.Threads,
            CommonOptions.Json,
        }
        .Runs((parsed, stop) =>
        {
            var machine = EnvCommand.Examine(parsed);
            var report = check(parsed.GetCompute(), new RunDisplay(parsed.Terminal()), stop);
            Show(parsed, machine, report);
            if (report.Faults is { Count: > 0 } faults)
            {
                throw new UserException($"this machine is off in {faults.Count} checks:\n  {string.Join("\n  ", faults)}");
            }
        });

    private static void Show(ParseResult parsed, EnvCommand.Report machine, CheckReport report)
    {
        var terminal = parsed.Terminal();
        if (parsed.GetValue(CommonOptions.Json))
        {
            terminal.PrintJson(new
            {
                Machine = machine, report.Methods, report.Parameters, report.Speed, report.Memory, report.Resume, report.Faults,
            });
            return;
        }

        terminal.PrintFields(EnvCommand.Fields(machine));
        var table = new Table().RoundedBorder().AddColumns("check", "measured", "bound", "");
        foreach (var (check, measured, bound, isOff) in Lines(report))
        {
            table.AddRow(Markup.Escape(check), Markup.Escape(measured), Markup.Escape(bound), isOff is null ? "" : isOff.Value ? "off" : "ok");
        }

        terminal.Print(table);
        terminal.Output.WriteLine(report.Faults.Count == 0 ? "this machine is right" : "this machine is off");
    }

    private static IEnumerable<(string Check, string Measured, string Bound, bool? IsOff)> Lines(CheckReport report)
    {
        foreach (var method in report.Methods.GroupBy(error => error.Method))
        {
            var paths = string.Join(", ", method.Select(error => error.Attention + (error.Packed ? " packed" : "")));
            yield return (
                method.Key,
                method.FirstOrDefault(error => error.Failure is not null)?.Failure
                    ?? FormattableString.Invariant($"logits {Worst(method.Select(error => error.Logits)):0.0e+0}, gradients {Worst(method.Select(error => error.Gradients)):0.0e+0} ({paths})"),
                FormattableString.Invariant($"{method.First().Bound:0e+0}"), method.Any(error => error.IsOff));
        }

        foreach (var at in report.Speed)
        {
            yield return ($"attention at {at.Length}", $"{at.Attention} ({at.Reason})", "", null);
        }

        foreach (var at in report.Speed)
        {
            yield return (
                $"speed at {at.Length}",
                FormattableString.Invariant($"{at.TrainingTokensPerSecond:N0} tokens/s in training, {at.ScoringTokensPerSecond:N0} in scoring ({report.Parameters:N0} parameters)"),
                "", null);
        }

        var memory = report.Memory;
        yield return (
            $"memory at {memory.Cutoff}",
            FormattableString.Invariant($"{ByteCount.Gigabytes(memory.MeasuredBytes)}, {memory.MeasuredOverPlanned:0.00} of {ByteCount.Gigabytes(memory.PlannedBytes)} planned"),
            FormattableString.Invariant($"{1 / MemoryComparison.Bound:0.00} to {MemoryComparison.Bound:0.00}"), memory.IsOff);
        var different = report.Resume.Sum(values => values.Different);
        yield return ("resume", FormattableString.Invariant($"{different:N0} of {report.Resume.Sum(values => values.Values):N0} values differ"), "0", different > 0);
    }

    // Max passes over NaN.
    private static double Worst(IEnumerable<double> errors) => errors.Aggregate(Math.Max);
}
