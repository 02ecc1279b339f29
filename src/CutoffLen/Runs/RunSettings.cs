using CutoffLen.Configuration;
using CutoffLen.Models.Attention;
using CutoffLen.Training;

namespace CutoffLen.Runs;

/// <summary>The settings that decide the bits of a training run.</summary>
public static class RunSettings
{
    /// <summary>The key of the chosen attention path.</summary>
    public const string Attention = "attention";

    /// <summary>Key and value, as a checkpoint stores them. A resumed run must have the same.</summary>
    public static IReadOnlyDictionary<string, string> Of(FinetunePlan plan, AttentionPath attention)
    {
        var config = plan.Config;
        var settings = new SortedDictionary<string, string>(StringComparer.Ordinal)
        {
            ["model"] = plan.BaseIdentity,
            ["rope"] = plan.Positions.Spec.ToString(),
            ["dtype"] = plan.Compute.DtypeName,
            [Attention] = attention.ToString().ToLowerInvariant(),
            ["data"] = plan.DataIdentity,
            ["total_train_batch_size"] = $"{plan.Steps.TotalTrainBatchSize}",
            ["learning_rates"] = Describe(plan.Steps.Schedule),
        };
        if (plan.Model.Quantization is { } quantization)
        {
            settings.Add("quantization", quantization.ToString().ToLowerInvariant());
        }

        var sections = config.Training.Method == TrainingMethod.Lora ? new[] { "data", "training", "lora" } : ["data", "training"];
        foreach (var key in ConfigKeys.All.Where(key => key.IsCompared && sections.Contains(key.Section)))
        {
            var text = key.Format(key.Get(config));
            settings.Add(key.Name, string.Join(',', (text.Items ?? [text]).Select(item => item.Text)));
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

    // A constant rate does not depend on the length of the run, so such a run can be made longer.
    private static string Describe(LearningRateSchedule schedule) => FormattableString.Invariant(
        $"{schedule.Shape} {schedule.Peak:R} after {schedule.WarmupSteps} steps of warm-up")
        + (schedule.Shape == ScheduleShape.Constant ? "" : $", of {schedule.TotalSteps}");
}
