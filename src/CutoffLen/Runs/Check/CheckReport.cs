using CutoffLen.Common;

namespace CutoffLen.Runs.Check;

/// <summary>A training run's planned and measured peak memory.</summary>
/// <param name="Cutoff">Tokens of a training sequence.</param>
/// <param name="PlannedBytes">The plan's peak.</param>
/// <param name="MeasuredBytes">The measured peak.</param>
public sealed record MemoryComparison(int Cutoff, long PlannedBytes, long MeasuredBytes)
{
    /// <summary>The factor that measured and planned memory may be apart, either way.</summary>
    public const double Bound = 1.15;

    /// <summary>Measured over planned.</summary>
    public double MeasuredOverPlanned => (double)MeasuredBytes / PlannedBytes;

    /// <summary>Whether they are further apart.</summary>
    public bool IsOff => !(MeasuredOverPlanned is >= 1 / Bound and <= Bound);

    /// <summary>What is off, in a line.</summary>
    public string Describe() => FormattableString.Invariant(
        $"memory at a cutoff of {Cutoff}: {ByteCount.Gigabytes(MeasuredBytes)} measured is {MeasuredOverPlanned:0.00} of the {ByteCount.Gigabytes(PlannedBytes)} planned, bound {1 / Bound:0.00} to {Bound:0.00}");
}

/// <summary>What a check found.</summary>
/// <param name="Methods">The errors of each position method, path and row, and of adapters on weights in 4 bits.</param>
/// <param name="Parameters">Parameters of the model whose speed and memory were measured.</param>
/// <param name="Speed">Attention path and speed by length.</param>
/// <param name="Memory">Planned and measured memory.</param>
/// <param name="Resume">A resumed run against an undisturbed one.</param>
public sealed record CheckReport(
    IReadOnlyList<MethodError> Methods, long Parameters, IReadOnlyList<LengthSpeed> Speed, MemoryComparison Memory, IReadOnlyList<ComparedValues> Resume)
{
    /// <summary>What is off, a line each; empty where the machine is right.</summary>
    public IReadOnlyList<string> Faults =>
    [
        .. Methods.Where(error => error.IsOff).Select(error => error.Describe()),
        .. Memory.IsOff ? [Memory.Describe()] : (IEnumerable<string>)[],
        .. Resume.Where(values => values.Different > 0).Select(values => $"resume: {values.What}, {values.Different} of {values.Values} values differ"),
    ];
}
