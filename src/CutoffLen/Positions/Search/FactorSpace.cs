using CutoffLen.Common;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Positions.Search;

/// <summary>Rescale factors with the number of start tokens that stay vanilla: what LongRoPE searches for.</summary>
/// <param name="Hundredths">[D/2] factors times 100: the paper's step is 0.01.</param>
/// <param name="Start">n-hat, the first tokens of a document that are not interpolated.</param>
/// <param name="CriticalPair">The first pair whose factor is searched; those of faster pairs follow from it. 0 in LongRoPE.</param>
public sealed record RescaleFactors(int[] Hundredths, int Start, int CriticalPair = 0)
{
    /// <summary>[D/2] what each pair's frequency is divided by.</summary>
    public double[] Factors => Array.ConvertAll(Hundredths, hundredths => hundredths / 100.0);

    /// <summary>All of it in a word; equal for equal ones.</summary>
    public override string ToString() => $"{string.Join('/', Hundredths)}+{Start}@{CriticalPair}";
}

/// <summary>Factors that a search begins with.</summary>
/// <param name="Name">The method that they are of.</param>
/// <param name="Factors">[D/2].</param>
/// <param name="CriticalPair">Its critical pair; null for the largest of the space.</param>
public sealed record FactorSeed(string Name, double[] Factors, int? CriticalPair = null)
{
    private static readonly string[] Methods = ["linear", "ntk", "yarn"];

    /// <summary>
    /// LongRoPE's seeds: position interpolation, NTK and YaRN by the target over the length that the model has now, on top of its
    /// own factors. A second search, on a model fine-tuned with factors of a first one, so interpolates it a second time (arXiv
    /// 2402.13753, section 3.3).
    /// </summary>
    /// <param name="model">The model.</param>
    /// <param name="own">[D/2] the factors that it has now; 1 each under vanilla RoPE.</param>
    /// <param name="length">Tokens that it has now.</param>
    /// <param name="target">Tokens that it shall have.</param>
    public static IReadOnlyList<FactorSeed> Of(PositionModel model, double[] own, int length, int target) =>
    [
        .. Methods.Select(name =>
        {
            var method = new PositionSetup(PositionMethods.Parse(name), model with { NativeLength = length }, target).Method;
            return new FactorSeed(name, [.. FactorsOf(model, method.RotaryFrequencies(target)!).Zip(own, (factor, by) => factor * by)]);
        }),
    ];

    /// <summary>LongRoPE2's first candidates (arXiv 2502.20082, algorithm 1): each critical pair with one factor, drawn from its bounds, for all pairs from it on.</summary>
    /// <param name="criticalPairs">The critical pairs.</param>
    /// <param name="pairs">D/2.</param>
    /// <param name="scale">How many times longer the context becomes.</param>
    /// <param name="seed">Of the draws.</param>
    public static IEnumerable<FactorSeed> OfCriticalPairs(IEnumerable<int> criticalPairs, int pairs, double scale, long seed) =>
        criticalPairs.Select(pair =>
        {
            var factor = scale * (1 + new KeyedRandom(seed, "critical pair", pair).NextUnit());
            return new FactorSeed($"pair {pair}", [.. Enumerable.Repeat(factor, pairs)], pair);
        });

    /// <summary>[D/2] vanilla RoPE's frequencies over others.</summary>
    public static double[] FactorsOf(PositionModel model, Frequencies frequencies) =>
        [.. model.InverseFrequencies().Zip(frequencies.InverseFrequencies, (vanilla, frequency) => vanilla / frequency)];
}

/// <summary>
/// The factors that a search may try: within bounds, and never smaller for a slower pair. Mutation and crossover keep both,
/// so none of their children has to be thrown away.
/// </summary>
public sealed class FactorSpace
{
    private readonly int pairs;
    private readonly int least;
    private readonly int most;
    private readonly int[] criticalPairs;
    private readonly int[] starts;

    private FactorSpace(int pairs, double least, double most, int[] criticalPairs, int[] starts) =>
        (this.pairs, this.least, this.most, this.criticalPairs, this.starts) = (pairs, Hundredths(least), Hundredths(most), criticalPairs, starts);

    /// <summary>n-hat's values in LongRoPE (arXiv 2402.13753, table 4).</summary>
    public static IReadOnlyList<int> StartTokens { get; } = [0, 1, 2, 4, 8, 12, 16, 20, 24, 28, 32, 64, 128, 256];

    /// <summary>LongRoPE's space: factors from 1 to 1.25 times the scale (arXiv 2402.13753, table 4).</summary>
    /// <param name="pairs">D/2.</param>
    /// <param name="scale">How many times longer the context becomes.</param>
    /// <param name="starts">The numbers of start tokens to try; none for 0 only.</param>
    public static FactorSpace LongRope(int pairs, double scale, params int[] starts) =>
        new(pairs, 1, 1.25 * scale, [0], starts is [] ? [0] : starts);

    /// <summary>
    /// LongRoPE2's space: factors from the scale to twice it for the pairs from a critical one on. Those of faster pairs follow
    /// from that pair's as under NTK-aware scaling, factor^(n / critical pair) (arXiv 2502.20082).
    /// </summary>
    /// <param name="pairs">D/2.</param>
    /// <param name="scale">How many times longer the context becomes.</param>
    /// <param name="criticalPairs">The critical pairs to try, ascending; below D/2.</param>
    public static FactorSpace LongRope2(int pairs, double scale, params int[] criticalPairs) => new(pairs, scale, 2 * scale, criticalPairs, [0]);

    /// <summary>The nearest factors of this space.</summary>
    public RescaleFactors Nearest(FactorSeed seed)
    {
        var (factors, first, hundredths) = (seed.Factors, seed.CriticalPair ?? criticalPairs[^1], new int[pairs]);
        for (var n = first; n < pairs; n++)
        {
            hundredths[n] = Math.Max(n == first ? least : hundredths[n - 1], Hundredths(Math.Min(factors[n], most / 100.0)));
        }

        return new RescaleFactors(WithFastPairs(hundredths, first), starts[0], first);
    }

    /// <summary>Whether factors are within the bounds and in order.</summary>
    public bool Has(RescaleFactors factors) =>
        factors.Hundredths.Length == pairs && starts.Contains(factors.Start) && criticalPairs.Contains(factors.CriticalPair)
        && factors.Hundredths[factors.CriticalPair] >= least && factors.Hundredths[^1] <= most
        && factors.Hundredths.Zip(factors.Hundredths.Skip(1)).All(pair => pair.First <= pair.Second);

    /// <summary>Draws each factor again with a probability, between those of its neighbours, and so the start tokens. The critical pair stays.</summary>
    public RescaleFactors Mutate(RescaleFactors parent, double probability, ref KeyedRandom random)
    {
        var first = parent.CriticalPair;
        int[] factors = [.. parent.Hundredths];
        for (var n = first; n < pairs; n++)
        {
            if (random.NextUnit() < probability)
            {
                factors[n] = random.Between(n == first ? least : factors[n - 1], n + 1 == pairs ? most : factors[n + 1]);
            }
        }

        var start = random.NextUnit() < probability ? starts[random.Below(starts.Length)] : parent.Start;
        return new RescaleFactors(WithFastPairs(factors, first), start, first);
    }

    /// <summary>Takes each factor from either parent; from the other one only within the bounds and where the order holds.</summary>
    public RescaleFactors Cross(RescaleFactors parent, RescaleFactors other, ref KeyedRandom random)
    {
        var first = parent.CriticalPair;
        int[] factors = [.. parent.Hundredths];
        for (var n = first; n < pairs; n++)
        {
            var fits = other.Hundredths[n] >= (n == first ? least : factors[n - 1]) && (n + 1 == pairs || other.Hundredths[n] <= factors[n + 1]);
            if (random.NextUnit() < 0.5 && fits)
            {
                factors[n] = other.Hundredths[n];
            }
        }

        return new RescaleFactors(WithFastPairs(factors, first), random.NextUnit() < 0.5 ? other.Start : parent.Start, first);
    }

    private static int Hundredths(double factor) => (int)Math.Round(100 * factor);

    private static int[] WithFastPairs(int[] factors, int first)
    {
        for (var n = 0; n < first; n++)
        {
            factors[n] = Hundredths(Math.Pow(factors[first] / 100.0, n / (double)first));
        }

        return factors;
    }
}
