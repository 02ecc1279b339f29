using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Hardware;
using CutoffLen.Models.Llama;
using CutoffLen.Training;
using Serilog;

namespace CutoffLen.Runs;

/// <summary>What a fine-tuning run logs.</summary>
internal static class FinetuneLog
{
    /// <summary>What will be done with what.</summary>
    public static void Opening(RunConfig config, LlamaConfig model, DeviceAndDtype compute, TrainableModel trainable, TokenLedger ledger, Trainer trainer)
    {
        var all = LlamaParameters.Count(model);
        Log.Information(
            "{Model:l}: {Parameters:l} parameters, {Trained:l} trained ({Method:l}), {Dtype:l} on {Device:l} ({Reason:l})",
            config.Model.Model, $"{all:N0}", $"{trainable.Parameters.Count:N0}", config.Training.Method.ToString().ToLowerInvariant(),
            compute.DtypeName, compute.DeviceName, compute.Reason);
        Log.Information(
            "{Sequences} sequences of {Cutoff} tokens an epoch, from {Documents} documents with {Tokens} tokens; native context {Native}; steps {From} to {Total}",
            ledger.Sequences.Count, ledger.CutoffLen, ledger.Documents.Read, ledger.Tokens.In, ledger.NativeLength, trainer.Step, trainer.TotalSteps);
        foreach (var warning in ledger.Warnings)
        {
            Log.Warning("{Warning:l}", warning);
        }
    }

    /// <summary>How much memory the run will take, and what to do if that is too much.</summary>
    public static void Memory(MemoryOutlook outlook)
    {
        var largest = outlook.Plan.Device.Where(part => part.AtPeak).OrderByDescending(part => part.Bytes).Take(3);
        Log.Information(
            "memory: peak predicted at {Peak:l} of {Budget:l} ({Parts:l})", ByteCount.Gigabytes(outlook.Plan.DeviceBytes),
            ByteCount.Gigabytes(outlook.Budget), string.Join(", ", largest.Select(part => $"{part.Name} {ByteCount.Gigabytes(part.Bytes)}")));
        if (!outlook.Fits)
        {
            Log.Warning("the run will probably not fit into memory; {Remedy:l}", outlook.Remedy());
        }
    }

    /// <summary>How much it took.</summary>
    public static void Memory(MemoryOutlook outlook, long measured) => Log.Information(
        "memory: peak {Measured:l}, {Predicted:l} predicted", ByteCount.Gigabytes(measured), ByteCount.Gigabytes(outlook.Plan.DeviceBytes));

    /// <summary>Shows every step on the bar.</summary>
    public static Action<StepReport> Watch(IProgress<ProgressStep> progress)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var tokens = 0L;
        return report =>
        {
            tokens += report.Tokens;
            var rate = tokens / Math.Max(1e-9, clock.Elapsed.TotalSeconds);
            progress.Report(new ProgressStep(
                report.Step, FormattableString.Invariant($"loss {report.Loss:0.0000}, lr {report.LearningRate:0.##E+0}, {rate:N0} tokens/s, {Environment.WorkingSet / 1e9:0.0} GB")));
        };
    }

    /// <summary>A line of the log, for run.log and --verbose; the bar shows the same to people.</summary>
    public static void Line(LogLine line) => Log.Debug(
        "step {Step}: loss {Loss:l}, gradient norm {Norm:l}, lr {Rate:l}, {Speed:l} tokens/s", line.Step, $"{line.Loss:0.0000}",
        $"{line.GradNorm:0.000}", $"{line.LearningRate:0.##E+0}", $"{line.TokensPerSecond:N0}");
}
