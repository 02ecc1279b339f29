using CutoffLen.Common;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Runs;

namespace CutoffLen.Reports;

/// <summary>A cell of a sweep and what was measured in it.</summary>
/// <param name="Rope">The method as the user wrote it.</param>
/// <param name="Cutoff">The cutoff it was fine-tuned at, tokens; null for the checkpoint as it is.</param>
/// <param name="Measured">Perplexity, curve and bounds under the method with everything filled in.</param>
/// <param name="AgainstItself">
/// By length, the difference from the checkpoint as it is; at lengths up to the native one that is the price.
/// </param>
public sealed record SweepCell(string Rope, int? Cutoff, MeasuredMethod Measured, IReadOnlyList<PairedDifference> AgainstItself)
{
    /// <summary>By length, the difference from the same positions before fine-tuning; none before it.</summary>
    public IReadOnlyList<PairedDifference> AgainstUntuned { get; init; } = [];

    /// <summary>By length, the difference from the first method fine-tuned at the same cutoff; none for that one and before.</summary>
    public IReadOnlyList<PairedDifference> AgainstFirst { get; init; } = [];

    /// <summary>What fine-tuning it took.</summary>
    public TrainingCost? Cost { get; init; }

    /// <summary>Whether it was fine-tuned.</summary>
    public bool IsTuned => Cutoff is not null;

    /// <summary>What to call it where before and after stand together.</summary>
    public string Label => Cutoff is { } cutoff ? $"{Rope}, tuned at {Numbers.Tokens(cutoff)}" : Measured.Method;

    /// <summary>Where its context ends; null when no text has a whole window.</summary>
    public EffectiveContextLimit? Limit => Measured.Curve?.EffectiveContext;

    /// <summary>
    /// What it costs where the model was good already: nats per token more than the checkpoint as it is, at the longest
    /// length up to the native one; null where none was measured.
    /// </summary>
    public PairedDifference? Price => AgainstItself.LastOrDefault(difference => difference.Length <= Measured.NativeLength);
}

/// <summary>How a method's effective context grows with the cutoff.</summary>
/// <param name="Rope">The method as the user wrote it; null for all of them together.</param>
/// <param name="Slope">The fit over the checkpoint as it is, trained at its native length, and the method's fine-tuned cells; null with too few limits.</param>
public sealed record MethodSlope(string? Rope, ContextSlope? Slope);

/// <summary>A sweep over position methods and cutoffs, before and after fine-tuning, as it is reported.</summary>
/// <param name="Made">When.</param>
/// <param name="Program">Name and version of this program.</param>
/// <param name="Model">Name of the checkpoint.</param>
/// <param name="NativeLength">Tokens it was trained at.</param>
/// <param name="Dtype">Number format of the models; scores are float32 in any.</param>
/// <param name="Settings">Everything that says how, name by name.</param>
/// <param name="Protocol">How perplexity was measured.</param>
/// <param name="Lengths">Context lengths in tokens.</param>
/// <param name="Corpus">The texts measured on.</param>
/// <param name="Cells">Measured cells, those before fine-tuning first; the first of all is the checkpoint as it is.</param>
/// <param name="Planned">Cells of the whole sweep.</param>
/// <param name="Slopes">Of each fine-tuned method, and of all together.</param>
/// <param name="Notes">What the reader should know.</param>
public sealed record SweepReport(
    DateTimeOffset Made,
    string Program,
    string Model,
    int NativeLength,
    string Dtype,
    IReadOnlyList<Setting> Settings,
    ProtocolNote Protocol,
    IReadOnlyList<int> Lengths,
    Corpus Corpus,
    IReadOnlyList<SweepCell> Cells,
    int Planned,
    IReadOnlyList<MethodSlope> Slopes,
    IReadOnlyList<string> Notes)
{
    /// <summary>The checkpoint as it is.</summary>
    public SweepCell Itself => Cells[0];

    /// <summary>Cells before fine-tuning.</summary>
    public IEnumerable<SweepCell> Before => Cells.Where(cell => !cell.IsTuned);

    /// <summary>Cells after fine-tuning.</summary>
    public IEnumerable<SweepCell> After => Cells.Where(cell => cell.IsTuned);

    /// <summary>The cutoffs of the cells that are there.</summary>
    public IReadOnlyList<int> Cutoffs => [.. After.Select(cell => cell.Cutoff!.Value).Distinct().Order()];

    /// <summary>The methods as the user wrote them, each once; its place is its colour everywhere.</summary>
    public IReadOnlyList<string> Ropes => [.. Cells.Select(cell => cell.Rope).Distinct()];

    /// <summary>The slope over all methods; null with too few limits.</summary>
    public ContextSlope? Slope => Slopes.FirstOrDefault(slope => slope.Rope is null)?.Slope;
}
