using CutoffLen.Common;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Positions.Search;

/// <summary>
/// LongRoPE2's critical pair (arXiv 2502.20082, section 3.2): factors are searched from it on, and faster pairs follow. It is given, or
/// searched with the factors.
/// </summary>
/// <remarks>
/// The paper was read (sections 2.3 to 3.3, algorithms 1 and 2, appendix B). Its code was not found: microsoft/LongRoPE at commit c9e56aa
/// has the search of LongRoPE only. The candidates for the pair are those of algorithm 1. A child keeps the pair of its parent (algorithm 2).
/// Algorithm 1 takes NTK's base from the first candidate; here it is that of the factors' own pair, as in the text and in algorithm 2.
/// The paper begins with one candidate of each pair; here position interpolation, NTK and YaRN at the theoretical pair come first.
/// It names no crossover, and LongRoPE's is kept: a child has the pair of one parent and takes factors of the other where they fit.
/// </remarks>
/// <param name="Given">The pair; null to search it.</param>
public sealed record CriticalPair(int? Given)
{
    /// <summary>The pair is searched.</summary>
    public static CriticalPair Searched { get; } = new((int?)null);

    /// <summary>Reads a number or <c>search</c>.</summary>
    /// <exception cref="UserException">It is neither.</exception>
    public static CriticalPair Parse(string text) =>
        text == "search" ? Searched
        : int.TryParse(text, out var pair) && pair >= 0 ? new(pair)
        : throw new UserException($"'{text}' is neither a whole number of at least 0 nor 'search'");

    /// <summary>
    /// The theoretical critical pair: the first that does not complete a turn in training, half of <see cref="RopeTheory.CriticalDimension"/>.
    /// The last pair where all of them do, so that there is one to search.
    /// </summary>
    /// <param name="model">The model.</param>
    public static int Theoretical(PositionModel model) => FirstWithout(1, model);

    /// <summary>The pairs to try, ascending: the given one; else from the first that does not complete ten turns in training to the theoretical one.</summary>
    /// <param name="model">The model.</param>
    public int[] Candidates(PositionModel model)
    {
        var (first, last) = Given is { } given ? (given, given) : (FirstWithout(10, model), Theoretical(model));
        return [.. Enumerable.Range(first, last - first + 1)];
    }

    private static int FirstWithout(int turns, PositionModel model) =>
        Math.Min(RopeTheory.CriticalDimension(model.HeadDim, model.Base, model.NativeLength / (double)turns), model.HeadDim - 1) / 2;
}
