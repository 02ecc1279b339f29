using CutoffLen.Common;
using CutoffLen.Memory;
using CutoffLen.Models.Llama;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Commands;

/// <summary>What <c>cutoff plan</c> answers; its JSON.</summary>
internal sealed class PlanReport(MemoryOutlook outlook)
{
    public string Model { get; } = outlook.Config.Model.Model!;

    public long Parameters { get; } = LlamaParameters.Count(outlook.Model);

    public long TrainedParameters { get; } = MemoryPlan.TrainedParameters(outlook.Model, outlook.Settings);

    public string Method { get; } = Word(outlook.Config.Training.Method);

    public string Optimizer { get; } = Word(outlook.Config.Training.Optimizer);

    public string Recompute { get; } = Word(outlook.Config.Training.Recompute);

    public string Dtype { get; } = outlook.Settings.Width == sizeof(float) ? "fp32" : "bf16";

    public string? Quantization { get; } = outlook.Settings.Quantization is { } kept ? Word(kept) : null;

    public string Device { get; } = outlook.Compute?.DeviceName ?? outlook.Config.Model.Device;

    public string Rope { get; } = outlook.Positions.Spec.ToString();

    public int CutoffLen { get; } = outlook.Settings.Cutoff;

    public int BatchSize { get; } = outlook.Settings.BatchSize;

    public int Ranks { get; } = outlook.Settings.Ranks;

    public int ContextParallelSize { get; } = outlook.Settings.ContextParallelSize;

    /// <summary>Bytes of gradients and weights that each rank sends in a step.</summary>
    public long DataParallelBytes { get; } = StepTraffic.DataParallelBytes(outlook.Model, outlook.Settings);

    /// <summary>Bytes of keys, values and their gradients that each rank sends in a step.</summary>
    public long ContextParallelBytes { get; } = StepTraffic.ContextParallelBytes(outlook.Model, outlook.Settings);

    public IReadOnlyList<MemoryPart> DeviceParts { get; } = outlook.Plan.Device;

    public long PeakBytes { get; } = outlook.Plan.DeviceBytes;

    public IReadOnlyList<MemoryPart> HostParts { get; } = outlook.Plan.Host;

    public long HostPeakBytes { get; } = outlook.Plan.HostBytes;

    public long DeviceMemoryBytes { get; } = outlook.Budget;

    public bool Fits { get; } = outlook.Fits;

    public int LargestCutoff { get; } = outlook.LargestCutoff;

    public IReadOnlyList<string> Change { get; } = outlook.Change;

    public string? Remedy { get; } = outlook.Fits ? null : outlook.Remedy();

    /// <summary>The peak that <c>--probe</c> measured; null without it.</summary>
    public long? MeasuredBytes { get; init; }

    /// <summary>Predicted over measured.</summary>
    public double? PredictedOverMeasured => MeasuredBytes is { } measured ? (double)PeakBytes / measured : null;

    /// <summary>Names and values for people.</summary>
    public IReadOnlyList<(string Name, string Value)> Fields() =>
    [
        ("model", FormattableString.Invariant($"{Model}: {Parameters:N0} parameters, {TrainedParameters:N0} trained ({Method})")),
        ("run", $"cutoff {CutoffLen}, batch {BatchSize}, {Rope}, {Dtype}{(Quantization is null ? "" : $" with the base model in {Quantization}")} on {Device}, {Optimizer}, recompute: {Recompute}"),
        .. Ranks == 1 ? [] : (IEnumerable<(string, string)>)[("ranks", $"{Ranks}{(ContextParallelSize == 1 ? "" : $", {ContextParallelSize} of which share each sequence")}; below is one of them")],
        .. DeviceParts.Select(Line),
        ("peak", $"{ByteCount.Gigabytes(PeakBytes)} of {ByteCount.Gigabytes(DeviceMemoryBytes)}{(Fits ? "" : ": does not fit")}"),
        .. HostParts.Count == 0 ? [] : HostParts.Select(Line).Append(("host memory", ByteCount.Gigabytes(HostPeakBytes))),
        .. Ranks == 1 ? [] : (IEnumerable<(string, string)>)[("sent a step", $"{ByteCount.Gigabytes(DataParallelBytes)} of gradients and weights, {ByteCount.Gigabytes(ContextParallelBytes)} of keys and values")],
        ("largest cutoff", LargestCutoff > 0 ? $"{LargestCutoff} tokens fit" : "none fits"),
        .. MeasuredBytes is { } measured
            ? [("measured", FormattableString.Invariant($"{ByteCount.Gigabytes(measured)}; predicted is {PredictedOverMeasured:0.00} times that"))]
            : (IEnumerable<(string, string)>)[],
    ];

    private static (string Name, string Value) Line(MemoryPart part) => ($"  {part.Name}", ByteCount.Gigabytes(part.Bytes));

    private static string Word(Enum value) => value.ToString().ToLowerInvariant();
}
