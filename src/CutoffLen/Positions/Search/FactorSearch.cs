using CutoffLen.Common;

namespace CutoffLen.Positions.Search;

/// <summary>The sizes of a search; those of LongRoPE (arXiv 2402.13753) unless given.</summary>
public sealed record FactorSearchSettings
{
    /// <summary>P, candidates of the first generation.</summary>
    public int Population { get; init; } = 64;

    /// <summary>k, the best candidates that are kept and have children.</summary>
    public int Top { get; init; } = 32;

    /// <summary>N1, children by mutation in a generation.</summary>
    public int Mutations { get; init; } = 16;

    /// <summary>N2, children by crossover in a generation.</summary>
    public int Crossovers { get; init; } = 16;

    /// <summary>p, with which each factor of a child is drawn again.</summary>
    public double MutationProbability { get; init; } = 0.3;

    /// <summary>T, generations after the first.</summary>
    public int Generations { get; init; } = 40;

    /// <summary>Seed of all draws.</summary>
    public long Seed { get; init; }

    /// <summary>Candidates in all, where every draw gives a new one.</summary>
    public int Candidates => Population + (Generations * (Mutations + Crossovers));
}

/// <summary>How far a search is.</summary>
/// <param name="Generation">0 for the first population.</param>
/// <param name="Candidates">Candidates whose fitness is known.</param>
/// <param name="Best">The candidate of the lowest fitness so far.</param>
/// <param name="Fitness">Its fitness.</param>
public readonly record struct FactorSearchProgress(int Generation, int Candidates, RescaleFactors Best, double Fitness);

/// <summary>What a search found.</summary>
/// <param name="Best">The candidate of the lowest fitness.</param>
/// <param name="Fitness">Its fitness.</param>
/// <param name="Seeds">Fitness of the seeds, in their order.</param>
/// <param name="Generations">The lowest fitness after each generation, from that of the first population on.</param>
/// <param name="Candidates">Candidates tried.</param>
public sealed record FactorSearchResult(
    RescaleFactors Best, double Fitness, IReadOnlyList<double> Seeds, IReadOnlyList<double> Generations, int Candidates);

/// <summary>
/// LongRoPE's evolutionary search (arXiv 2402.13753, algorithm 1). The first population is the seeds and mutations of them. The
/// best of all candidates so far are the parents of the next generation. No candidate is tried twice. Every draw is a function
/// of seed, generation and child, so that a search that begins again tries the same candidates.
/// </summary>
/// <remarks>
/// The authors' code (microsoft/LongRoPE, evolution/algorithms) begins with YaRN alone and has no start tokens. Its crossover takes
/// a factor of the second parent with probability 0.15; here both parents are alike.
/// </remarks>
/// <param name="space">The allowed factors.</param>
/// <param name="settings">Sizes and seed.</param>
/// <param name="fitness">What is minimised.</param>
public sealed class FactorSearch(FactorSpace space, FactorSearchSettings settings, Func<RescaleFactors, double> fitness)
{
    // A small space may have no new candidate left.
    private const int MostDraws = 100;

    private readonly Dictionary<string, double> known = new(StringComparer.Ordinal);

    /// <summary>Searches to the end.</summary>
    /// <param name="seeds">At least one; the first candidates.</param>
    /// <param name="progress">Told of every candidate.</param>
    public FactorSearchResult Run(IReadOnlyList<FactorSeed> seeds, IProgress<FactorSearchProgress>? progress = null)
    {
        known.Clear();
        var (best, generations) = (new List<RescaleFactors>(), new List<double>());
        RescaleFactors[] first = [.. seeds.Select(space.Nearest)];
        foreach (var seed in first)
        {
            Try(seed);
        }

        for (var n = first.Length; n < settings.Population; n++)
        {
            Try(Draw(0, n, (ref KeyedRandom random) => space.Mutate(first[n % first.Length], settings.MutationProbability, ref random)));
        }

        Select();
        for (var generation = 1; generation <= settings.Generations; generation++)
        {
            RescaleFactors[] parents = [.. best];
            for (var n = 0; n < settings.Mutations + settings.Crossovers; n++)
            {
                Try(Draw(generation, n, (ref KeyedRandom random) => n < settings.Mutations
                    ? space.Mutate(parents[random.Below(parents.Length)], settings.MutationProbability, ref random)
                    : space.Cross(parents[random.Below(parents.Length)], parents[random.Below(parents.Length)], ref random)));
            }

            Select();
        }

        return new FactorSearchResult(best[0], Of(best[0]), [.. first.Select(Of)], generations, known.Count);

        void Try(RescaleFactors? candidate)
        {
            if (candidate is not null && !known.ContainsKey(candidate.ToString()))
            {
                known.Add(candidate.ToString(), fitness(candidate));
                best.Add(candidate);
                var lowest = best.MinBy(Of)!;
                progress?.Report(new FactorSearchProgress(generations.Count, known.Count, lowest, Of(lowest)));
            }
        }

        // The order of equal ones is that of their birth.
        void Select()
        {
            best = [.. best.OrderBy(Of).Take(settings.Top)];
            generations.Add(Of(best[0]));
        }
    }

    private delegate RescaleFactors Drawing(ref KeyedRandom random);

    private double Of(RescaleFactors candidate) => known[candidate.ToString()];

    /// <summary>A new candidate; null where none is found.</summary>
    private RescaleFactors? Draw(int generation, int child, Drawing draw)
    {
        for (var attempt = 0; attempt < MostDraws; attempt++)
        {
            var random = new KeyedRandom(settings.Seed, "rope search", generation, child, attempt);
            var candidate = draw(ref random);
            if (!known.ContainsKey(candidate.ToString()))
            {
                return candidate;
            }
        }

        return null;
    }
}
