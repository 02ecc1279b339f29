using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Memory;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Spec;
using CutoffLen.Runs;

namespace CutoffLen.Cli;

/// <summary>What <c>cutoff plan</c> answers; its JSON.</summary>
internal sealed record PlanReport(
    string Model,
    long Parameters,
    long TrainedParameters,
    string Method,
    string Optimizer,
    string Recompute,
    string Dtype,
    string Device,
    string Rope,
    int CutoffLen,
    int BatchSize,
    IReadOnlyList<MemoryPart> DeviceParts,
    long PeakBytes,
    IReadOnlyList<MemoryPart> HostParts,
    long HostPeakBytes,
    long DeviceMemoryBytes,
    bool Fits,
    int LargestCutoff,
    IReadOnlyList<string> Change,
    string? Remedy)
{
    public PlanReport(RunConfig config, PositionSpec spec, MemoryOutlook outlook, string device)
        : this(
            config.Model.Model!,
            LlamaParameters.Count(outlook.Model),
            MemoryPlan.TrainedParameters(outlook.Model, outlook.Settings),
            config.Training.Method.ToString().ToLowerInvariant(),
            config.Training.Optimizer.ToString().ToLowerInvariant(),
            config.Training.Recompute.ToString().ToLowerInvariant(),
            outlook.Settings.Width == sizeof(float) ? "fp32" : "bf16",
            device,
            spec.ToString(),
            outlook.Settings.Cutoff,
            outlook.Settings.BatchSize,
            outlook.Plan.Device,
            outlook.Plan.DeviceBytes,
            outlook.Plan.Host,
            outlook.Plan.HostBytes,
            outlook.Budget,
            outlook.Fits,
            new MemoryAdvice(outlook.Model, outlook.Settings, outlook.Budget).LargestCutoff(),
            outlook.Change,
            outlook.Fits ? null : outlook.Remedy()) { }

    /// <summary>The peak that <c>--probe</c> measured; null without it.</summary>
    public long? MeasuredBytes { get; init; }

    /// <summary>Predicted over measured.</summary>
    public double? PredictedOverMeasured => MeasuredBytes is { } measured ? (double)PeakBytes / measured : null;

    /// <summary>Names and values for people.</summary>
    public IReadOnlyList<(string Name, string Value)> Fields() =>
    [
        ("model", FormattableString.Invariant($"{Model}: {Parameters:N0} parameters, {TrainedParameters:N0} trained ({Method})")),
        ("run", $"cutoff {CutoffLen}, batch {BatchSize}, {Rope}, {Dtype} on {Device}, {Optimizer}, recompute: {Recompute}"),
        .. DeviceParts.Where(part => part.AtPeak).Select(Line),
        ("peak", $"{ByteCount.Gigabytes(PeakBytes)} of {ByteCount.Gigabytes(DeviceMemoryBytes)}{(Fits ? "" : ": does not fit")}"),
        .. DeviceParts.Where(part => !part.AtPeak).Select(part => ($"  {part.Name}", $"{ByteCount.Gigabytes(part.Bytes)}, at another moment")),
        .. HostParts.Count == 0 ? [] : HostParts.Select(Line).Append(("host memory", ByteCount.Gigabytes(HostPeakBytes))),
        ("largest cutoff", LargestCutoff > 0 ? $"{LargestCutoff} tokens fit" : "none fits"),
        .. MeasuredBytes is { } measured
            ? [("measured", FormattableString.Invariant($"{ByteCount.Gigabytes(measured)}; predicted is {PredictedOverMeasured:0.00} times that"))]
            : (IEnumerable<(string, string)>)[],
    ];

    private static (string Name, string Value) Line(MemoryPart part) => ($"  {part.Name}", ByteCount.Gigabytes(part.Bytes));
}
