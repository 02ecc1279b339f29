using System.CommandLine;
using CutoffLen.Cli.Options;
using CutoffLen.Common;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary><c>cutoff plan</c>: whether a training run fits into memory, before it is started.</summary>
internal static class PlanCommand
{
    private static readonly Option<long?> DeviceMemory = CommonOptions.Parsed<long?>(
        "--device-memory", "Memory of the device that the run is planned for; without it, what is free on this machine's.", "80GB", text => ByteCount.Parse(text));

    private static readonly Option<int> Ranks = new("--ranks")
    {
        Description = "Ranks of the run, a device each.",
        HelpName = "N",
        DefaultValueFactory = _ => 1,
    };

    private static readonly Option<bool> Probe = CommonOptions.Flag(
        "Make steps of the run, on random tokens where no data is given, and compare.", "--probe");

    /// <summary>The command with its options.</summary>
    public static Command Create() =>
        new Command("plan", "Predict the peak memory of a fine-tuning run; needs the model's config.json only.") { DeviceMemory, Ranks, Probe, CommonOptions.Json }
        .WithTrainingOptions()
        .Runs((parsed, stop) =>
        {
            var (probe, ranks) = (parsed.GetValue(Probe), parsed.GetValue(Ranks));
            if (ranks < 1 || (probe && ranks > 1))
            {
                throw new UserException(ranks < 1 ? $"--ranks {ranks}: a run has one rank or more" : $"--ranks {ranks}: --probe measures one rank; leave out one of the two");
            }

            var config = parsed.ResolveTraining();
            config = parsed.Hub(stop).Localized(config, settingsOnly: !probe);
            var outlook = MemoryOutlook.Open(config, parsed.GetValue(DeviceMemory), onThisMachine: probe, ranks);
            var report = new PlanReport(outlook) { MeasuredBytes = probe ? MemoryProbe.Run(outlook, stop) : null };
            parsed.Print(report, answer => answer.Fields());
            if (!report.Fits)
            {
                throw new UserException($"cutoff {report.CutoffLen} does not fit: {ByteCount.Gigabytes(report.PeakBytes)} of {ByteCount.Gigabytes(report.DeviceMemoryBytes)}; {report.Remedy}");
            }
        });
}
