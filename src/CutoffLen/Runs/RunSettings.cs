using CutoffLen.Configuration;
using CutoffLen.Models.Attention;
using CutoffLen.Training;

namespace CutoffLen.Runs;

/// <summary>The keys of a configuration that decide the bits of a training run.</summary>
public static class RunSettings
{
    /// <summary>The key under which the attention path stands, decided.</summary>
    public const string Attention = "attention";

    // Keys whose values appear below in a resolved form, or that change no bit of the trained model.
    private static readonly HashSet<string> Elsewhere =
    [
        "model", "rope", "dtype", "device", "attention", "threads", "data", "cache_dir", "output_dir", "learning_rate", "lr_scheduler_type",
        "warmup_steps", "warmup_ratio", "max_steps", "num_train_epochs", "tokens_per_step", "gradient_accumulation_steps",
        "offload_inputs", "offload_optimizer", "logging_steps", "save_steps", "save_total_limit",
    ];

    /// <summary>Key and value, as they stand in a checkpoint and must stand again when it is resumed.</summary>
    /// <param name="config">The configuration.</param>
    /// <param name="model">A text that differs when the base model does.</param>
    /// <param name="rope">The position method with every default filled in.</param>
    /// <param name="dtype">The model's number format.</param>
    /// <param name="attention">What computes attention, decided.</param>
    /// <param name="data">A text that differs when the data or its tokens do.</param>
    /// <param name="schedule">The learning rates.</param>
    public static IReadOnlyDictionary<string, string> Of(
        RunConfig config, string model, string rope, string dtype, AttentionPath attention, string data, LearningRateSchedule schedule)
    {
        var lora = config.Training.Method == TrainingMethod.Lora;
        var settings = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["model"] = model,
            ["rope"] = rope,
            ["dtype"] = dtype,
            [Attention] = attention.ToString().ToLowerInvariant(),
            ["data"] = data,
            ["accumulation_steps"] = $"{config.Training.AccumulationSteps(config.Data.CutoffLen ?? 0)}",
            ["learning_rates"] = Describe(schedule),
        };
        foreach (var key in ConfigKeys.All)
        {
            if (!Elsewhere.Contains(key.Name) && (key.Section is "data" or "training" || (lora && key.Section == "lora")))
            {
                settings.TryAdd(key.Name, string.Join(',', key.Format(key.Get(config)).Items));
            }
        }

        return settings;
    }

    /// <summary>What differs between a checkpoint's settings and these, a sentence each.</summary>
    public static IReadOnlyList<string> Differences(IReadOnlyDictionary<string, string> saved, IReadOnlyDictionary<string, string> now) =>
    [
        .. saved.Keys.Union(now.Keys).Order(StringComparer.Ordinal)
            .Where(key => saved.GetValueOrDefault(key) != now.GetValueOrDefault(key))
            .Select(key => $"{key} was {saved.GetValueOrDefault(key) ?? "unset"} and is {now.GetValueOrDefault(key) ?? "unset"}"),
    ];

    // A constant rate does not ask how long the run will be, so such a run can be made longer.
    private static string Describe(LearningRateSchedule schedule) => FormattableString.Invariant(
        $"{schedule.Shape} {schedule.Peak:R} after {schedule.WarmupSteps} steps of warm-up")
        + (schedule.Shape == ScheduleShape.Constant ? "" : $", of {schedule.TotalSteps}");
}
