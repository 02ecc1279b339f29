using CutoffLen.Checkpoints.Lora;
using CutoffLen.Models.Llama;
using CutoffLen.Training;

namespace CutoffLen.Memory;

/// <summary>The largest cutoff that fits a memory, and what to change where a run does not fit.</summary>
/// <param name="config">The architecture.</param>
/// <param name="settings">The planned run.</param>
/// <param name="budget">Bytes of the device.</param>
public sealed class MemoryAdvice(LlamaConfig config, MemorySettings settings, long budget)
{
    private const int Grain = 256; // tokens
    private const int Most = 1 << 24;

    /// <summary>Whether the planned run fits.</summary>
    public bool Fits => FitsWith(settings);

    /// <summary>The largest cutoff that fits, in steps of 256 tokens; 0 for none.</summary>
    public int LargestCutoff()
    {
        var (fits, exceeds) = (0, Most / Grain);
        while (exceeds - fits > 1)
        {
            var middle = (fits + exceeds) / 2;
            (fits, exceeds) = FitsWith(settings with { Cutoff = middle * Grain }) ? (middle, exceeds) : (fits, middle);
        }

        return fits * Grain;
    }

    /// <summary>
    /// The smallest change of settings that makes the run fit, as lines of the configuration; empty where none does. Changes
    /// that cost only time come first. One change is preferred to several.
    /// </summary>
    /// <param name="lora">The adapters that would be trained.</param>
    public IReadOnlyList<string> SmallestChange(AdapterConfig lora)
    {
        var changes = Changes(lora).ToList();
        if (changes.FirstOrDefault(change => FitsWith(change.Apply(settings))) is { Setting: not null } one)
        {
            return [one.Setting];
        }

        var taken = new List<(string Setting, Func<MemorySettings, MemorySettings> Apply)>();
        foreach (var change in changes)
        {
            taken.Add(change);
            if (FitsWith(Applied(taken)))
            {
                return [.. Needed(taken).Select(needed => needed.Setting)];
            }
        }

        return [];
    }

    /// <summary>The changes without those that the others make needless.</summary>
    private List<(string Setting, Func<MemorySettings, MemorySettings> Apply)> Needed(List<(string Setting, Func<MemorySettings, MemorySettings> Apply)> taken)
    {
        var needed = taken.ToList();
        foreach (var change in taken)
        {
            var without = needed.Where(other => other != change).ToList();
            if (FitsWith(Applied(without)))
            {
                needed = without;
            }
        }

        return needed;
    }

    private MemorySettings Applied(IEnumerable<(string Setting, Func<MemorySettings, MemorySettings> Apply)> changes) =>
        changes.Aggregate(settings, (changed, change) => change.Apply(changed));

    private IEnumerable<(string Setting, Func<MemorySettings, MemorySettings> Apply)> Changes(AdapterConfig lora)
    {
        if (settings.BatchSize > 1)
        {
            var passes = settings.AccumulationSteps * settings.BatchSize;
            yield return ($"per_device_train_batch_size: 1 with gradient_accumulation_steps: {passes}", s => s with { BatchSize = 1, AccumulationSteps = passes });
        }

        if (settings.Recompute == Recompute.None)
        {
            yield return ("recompute: mlp", s => s with { Recompute = Recompute.Mlp });
        }

        if (settings.Recompute != Recompute.Layers)
        {
            yield return ("recompute: layers", s => s with { Recompute = Recompute.Layers });
        }

        if (settings is { OnGpu: true, OffloadOptimizer: false })
        {
            yield return ("offload_optimizer: true", s => s with { OffloadOptimizer = true });
        }

        if (settings is { OnGpu: true, OffloadInputs: false })
        {
            var alone = settings.Recompute == Recompute.Layers ? "" : "recompute: layers with ";
            yield return ($"{alone}offload_inputs: true", s => s with { OffloadInputs = true, Recompute = Recompute.Layers });
        }

        if (settings.Width == sizeof(float))
        {
            yield return ("dtype: bf16", s => s with { Width = 2 });
        }

        if (settings.Optimizer == OptimizerKind.Adamw)
        {
            yield return ("optimizer: lion", s => s with { Optimizer = OptimizerKind.Lion });
        }

        if (settings.Lora is null)
        {
            yield return ("method: lora", s => s with { Lora = lora });
        }

        if (settings is { Lora: not null, Quantization: null })
        {
            yield return ("quantization: nf4", s => s with { Quantization = Quantization.Nf4 });
        }
    }

    private bool FitsWith(MemorySettings tried) => MemoryPlan.Of(config, tried).DeviceBytes <= budget;
}
