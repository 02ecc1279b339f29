using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Models.Llama;
using CutoffLen.Training;
using Serilog;

namespace CutoffLen.Runs;

/// <summary>What a fine-tuning run logs.</summary>
public static class FinetuneLog
{
    /// <summary>Model, data and steps.</summary>
    internal static void Opening(FinetunePlan plan, TrainableModel trainable, TokenLedger ledger, Trainer trainer)
    {
        var (config, compute, all) = (plan.Config, plan.Compute, LlamaParameters.Count(plan.Model));
        Log.Information(
            "{Model:l}: {Parameters:l} parameters, {Trained:l} trained ({Method:l}), {Dtype:l} on {Device:l} ({Reason:l})",
            config.Model.Model, $"{all:N0}", $"{trainable.Parameters.Count:N0}", config.Training.Method.ToString().ToLowerInvariant(),
            plan.Model.Quantization is null ? compute.DtypeName : $"{compute.DtypeName} with the base model in nf4", compute.DeviceName, compute.Reason);
        Log.Information(
            "{Sequences} sequences of {Cutoff} tokens an epoch, from {Documents} documents with {Tokens} tokens; native context {Native}; steps {From} to {Total}",
            ledger.Sequences.Count, ledger.CutoffLen, ledger.Documents.Read, ledger.Tokens.In, ledger.NativeLength, trainer.Step, trainer.TotalSteps);
        if (ledger.Tokens.Prompts > 0)
        {
            Log.Information(
                "of {Tokens} tokens in sequences {Prompts} are of prompts, read and not learned (completion_only_loss)", ledger.Tokens.Out, ledger.Tokens.Prompts);
        }

        var (groups, context) = (plan.Steps.DataParallelSize, config.Training.ContextParallelSize);
        var (plural, sharing) = (groups == 1 ? "" : "s", context == 1 ? "" : $" of {context} ranks that share each sequence");
        Log.Information(
            "total train batch size {Total}: {PerDevice} a device x {Accumulation} accumulation steps x {Replicas:l}",
            plan.Steps.TotalTrainBatchSize, config.Training.PerDeviceTrainBatchSize, plan.Steps.AccumulationSteps,
            $"{groups} {(context == 1 ? "rank" : "group")}{plural}{sharing}");
        foreach (var warning in ledger.Warnings)
        {
            Log.Warning("{Warning:l}", warning);
        }
    }

    /// <summary>The memory that the run will take, and what to do if that is too much.</summary>
    internal static void Memory(MemoryOutlook outlook)
    {
        var largest = outlook.Plan.Device.OrderByDescending(part => part.Bytes).Take(3);
        Log.Information(
            "memory: peak predicted at {Peak:l} of {Budget:l} ({Parts:l})", ByteCount.Gigabytes(outlook.Plan.DeviceBytes),
            ByteCount.Gigabytes(outlook.Budget), string.Join(", ", largest.Select(part => $"{part.Name} {ByteCount.Gigabytes(part.Bytes)}")));
        if (!outlook.Fits)
        {
            Log.Warning("the run will probably not fit into memory; {Remedy:l}", outlook.Remedy());
        }
    }

    /// <summary>The memory that it took.</summary>
    internal static void Memory(MemoryOutlook outlook, long measured) => Log.Information(
        "memory: peak {Measured:l}, {Predicted:l} predicted", ByteCount.Gigabytes(measured), ByteCount.Gigabytes(outlook.Plan.DeviceBytes));

    /// <summary>Shows every step on the bar.</summary>
    internal static Action<StepReport> Watch(IProgress<ProgressStep> progress)
    {
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var tokens = 0L;
        return report =>
        {
            tokens += report.Tokens;
            var rate = tokens / Math.Max(1e-9, clock.Elapsed.TotalSeconds);
            progress.Report(new ProgressStep(
                report.Step, FormattableString.Invariant($"loss {Nats(report.Loss)}, lr {report.LearningRate:0.##E+0}, {rate:N0} tokens/s, {Environment.WorkingSet / 1e9:0.0} GB")));
        };
    }

    /// <summary>A line of log.jsonl, for run.log and --verbose. The bar shows the same.</summary>
    internal static void Line(LogLine line) => Log.Debug(
        "step {Step}: loss {Loss:l}, gradient norm {Norm:l}, lr {Rate:l}, {Speed:l} tokens/s", line.Step, Nats(line.Loss),
        $"{line.GradNorm:0.000}", $"{line.LearningRate:0.##E+0}", $"{line.TokensPerSecond:N0}");

    private static string Nats(double? loss) => loss is { } nats ? FormattableString.Invariant($"{nats:0.0000}") : "none (no target tokens)";

    /// <summary>Where everything is, or how to resume.</summary>
    public static void Ending(FinetuneRun run, FinetuneOutcome outcome)
    {
        if (outcome.Finished)
        {
            Log.Information("finished after {Steps} steps: {Folder:l}", outcome.Step, outcome.Folder);
            Log.Information(
                run.Plan.Config.Training.Method == TrainingMethod.Full ? "measure it with: cutoff eval-ppl --model {Folder:l}" : "make it a plain checkpoint with: cutoff merge --model {Folder:l} --out DIR",
                outcome.Folder);
        }
        else
        {
            Log.Warning(
                "stopped at step {Step} of {Total}, saved as {Checkpoint:l}; go on with: cutoff finetune --config {Config:l} --resume auto",
                outcome.Step, outcome.TotalSteps, outcome.Folder, Path.Combine(Path.GetFullPath(run.Folder.Path), RunFolder.ConfigFile));
        }
    }
}
