using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Evaluation.Ruler;

/// <summary>A score in percent.</summary>
/// <param name="Percent">0 to 100.</param>
/// <param name="Interval">Its 95% interval.</param>
public readonly record struct RulerScore(double Percent, Interval Interval)
{
    /// <summary>
    /// The mean of shares. The interval is Wilson's for as many yes-or-no answers: samples whose score is a share, and means over
    /// tasks, vary no more than those, so it is wide enough.
    /// </summary>
    public static RulerScore Of(IReadOnlyCollection<double> shares) =>
        new(100 * shares.Average(), Interval.OfShare(shares.Average(), shares.Count).Map(share => 100 * share));
}

/// <summary>A task at a length.</summary>
/// <param name="Task">Its name.</param>
/// <param name="Length">Tokens of prompt and answer.</param>
/// <param name="Shares">The share of the expected answers found, sample by sample.</param>
public sealed record RulerCell(string Task, int Length, IReadOnlyList<double> Shares)
{
    /// <summary>The task's score.</summary>
    public RulerScore Score { get; } = RulerScore.Of(Shares);
}

/// <summary>RULER's scores over tasks and lengths.</summary>
/// <param name="Cells">By length, then task.</param>
public sealed record RulerResult(IReadOnlyList<RulerCell> Cells)
{
    /// <summary>The paper's threshold of the effective length: the score of Llama2-7B at 4K.</summary>
    public const double StandardThreshold = 85.6;

    /// <summary>Names of the tasks.</summary>
    public IReadOnlyList<string> Tasks { get; } = [.. Cells.Select(cell => cell.Task).Distinct()];

    /// <summary>Lengths in tokens, ascending.</summary>
    public IReadOnlyList<int> Lengths { get; } = [.. Cells.Select(cell => cell.Length).Distinct().Order()];

    /// <summary>What the score has to reach at every length of the effective length.</summary>
    public double Threshold { get; init; } = StandardThreshold;

    /// <summary>
    /// The effective length (arXiv 2404.06654, section 4): the longest up to which the average reaches the threshold; null where
    /// it does not at the shortest. The paper's average is that of thirteen tasks.
    /// </summary>
    public int? EffectiveLength => Lengths.TakeWhile(length => Average(length).Percent >= Threshold).Select(length => (int?)length).LastOrDefault();

    /// <summary>The cell of a task and length.</summary>
    public RulerCell At(string task, int length) => Cells.First(cell => cell.Task == task && cell.Length == length);

    /// <summary>The average over the tasks at a length.</summary>
    public RulerScore Average(int length) => RulerScore.Of([.. Cells.Where(cell => cell.Length == length).SelectMany(cell => cell.Shares)]);

    /// <summary>The paper's weighted average over lengths, wAvg.: weights 1, 2, 3, ... from short to long (inc) or from long to short (dec).</summary>
    public double WeightedAverage(bool increasing)
    {
        var weights = Enumerable.Range(1, Lengths.Count);
        var scores = Lengths.Select(length => Average(length).Percent);
        return weights.Zip(increasing ? scores : scores.Reverse(), (weight, score) => weight * score).Sum() / weights.Sum();
    }
}
