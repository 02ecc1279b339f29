namespace CutoffLen.Training;

/// <summary>How the learning rate changes after the warm-up.</summary>
public enum ScheduleShape
{
    /// <summary>It stays (transformers' get_constant_schedule_with_warmup).</summary>
    Constant,

    /// <summary>It falls linearly to 0 (get_linear_schedule_with_warmup).</summary>
    Linear,

    /// <summary>It falls along half a cosine to 0 (get_cosine_schedule_with_warmup with num_cycles 0.5).</summary>
    Cosine,
}

/// <summary>
/// The learning rate by optimizer step, as in Hugging Face transformers' optimization.py. It rises linearly from 0 through
/// the warm-up, so the first of several warm-up steps has rate 0.
/// </summary>
/// <param name="Shape">What follows the warm-up.</param>
/// <param name="Peak">The rate at the end of the warm-up.</param>
/// <param name="WarmupSteps">Steps of warm-up, 0 for none.</param>
/// <param name="TotalSteps">Steps of the run; where linear and cosine reach 0.</param>
public sealed record LearningRateSchedule(ScheduleShape Shape, double Peak, long WarmupSteps, long TotalSteps)
{
    /// <summary>Steps of warm-up, as in transformers: <paramref name="steps"/> where given, else the ratio of all steps, rounded up.</summary>
    public static long Warmup(long steps, double ratio, long totalSteps) =>
        steps > 0 ? steps : (long)Math.Ceiling(totalSteps * ratio);

    /// <summary>The learning rate of a step, counted from 0.</summary>
    public double At(long step) => Peak * Factor(step);

    private double Factor(long step)
    {
        if (step < WarmupSteps)
        {
            return step / (double)WarmupSteps;
        }

        var decaySteps = Math.Max(1, TotalSteps - WarmupSteps);
        return Shape switch
        {
            ScheduleShape.Linear => Math.Max(0, (TotalSteps - step) / (double)decaySteps),
            ScheduleShape.Cosine => 0.5 * (1 + Math.Cos(Math.PI * Math.Min(1, (step - WarmupSteps) / (double)decaySteps))),
            _ => 1,
        };
    }
}
