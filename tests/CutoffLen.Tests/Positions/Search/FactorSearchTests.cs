using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.Search;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Tests.Positions.Search;

/// <summary>LongRoPE's evolution on fitnesses whose optimum is known.</summary>
public sealed class FactorSearchTests
{
    private const double Scale = 4;
    private static readonly PositionModel Model = new(16, 10_000, 256, 4, 4);
    private static readonly double[] Optimum = [1, 1.11, 1.5, 2.2, 2.9, 3.6, 4.1, 4.8];
    private static readonly FactorSpace Space = FactorSpace.LongRope(8, Scale, [.. FactorSpace.StartTokens]);

    private static IReadOnlyList<FactorSeed> Seeds => FactorSeed.Of(Model, [.. Enumerable.Repeat(1.0, 8)], 256, 1024);

    public static TheoryData<int[]> CriticalPairs => [[], [3], [1, 2, 3, 4, 5]];

    [Fact]
    public void Seeds_are_position_interpolation_ntk_and_yarn()
    {
        Assert.Equal(["linear", "ntk", "yarn"], Seeds.Select(seed => seed.Name));
        Assert.All(Seeds[0].Factors, factor => Assert.Equal(4, factor, 12));
        Assert.All(Seeds[1].Factors.Index(), pair => Assert.Equal(Math.Pow(4, 2.0 * pair.Index / 14), pair.Item, 12));
        // In 256 tokens pair 0 turns 40 times and pair 3 once.
        Assert.Equal(1, Seeds[2].Factors[0], 12);
        Assert.Equal(4, Seeds[2].Factors[7], 12);
        Assert.Equal([100, 122, 149, 181, 221, 269, 328, 400], Space.Nearest(Seeds[1]).Hundredths);
    }

    [Fact]
    public void A_second_search_interpolates_the_models_own_factors_again()
    {
        var twice = FactorSeed.Of(Model, Optimum, 1024, 2048);
        Assert.All(twice[0].Factors.Zip(Optimum), pair => Assert.Equal(2 * pair.Second, pair.First, 12));
        Assert.All(twice[1].Factors.Zip(Optimum).Index(), pair => Assert.Equal(pair.Item.Second * Math.Pow(2, 2.0 * pair.Index / 14), pair.Item.First, 12));
    }

    [Theory]
    [MemberData(nameof(CriticalPairs))]
    public void Every_child_is_in_order_and_within_the_bounds(int[] criticalPairs)
    {
        var space = criticalPairs is [] ? Space : FactorSpace.LongRope2(8, Scale, criticalPairs);
        var (one, other) = (space.Nearest(Seeds[0]), space.Nearest(Seeds[1] with { CriticalPair = criticalPairs is [] ? 0 : criticalPairs[0] }));
        var seen = new HashSet<string>();
        for (var n = 0; n < 2000; n++)
        {
            var random = new KeyedRandom(5, "test", n);
            var child = n % 2 == 0 ? space.Mutate(one, 0.3, ref random) : space.Cross(one, other, ref random);
            Assert.True(space.Has(child), child.ToString());
            Assert.Equal(one.CriticalPair, child.CriticalPair);
            if (criticalPairs is not [])
            {
                var (pair, factors) = (child.CriticalPair, child.Factors);
                Assert.All(factors[pair..], factor => Assert.InRange(factor, Scale, 2 * Scale));
                // NTK-aware scaling of the base by which pair n is divided by factor^(n / critical pair).
                var ntk = 10_000 * Math.Pow(factors[pair], 8.0 / pair);
                Assert.All(Enumerable.Range(0, pair), n => Assert.Equal(Math.Pow(10_000, -n / 8.0) / Math.Pow(ntk, -n / 8.0), factors[n], 0.00501));
            }

            seen.Add(child.ToString());
            (one, other) = (other, child);
        }

        Assert.InRange(seen.Count, 500, 2000);
    }

    [Fact]
    public void Factors_out_of_bounds_or_order_are_not_in_the_space()
    {
        RescaleFactors good = new([100, 122, 149, 181, 221, 269, 328, 500], 4);
        Assert.True(Space.Has(good));
        Assert.False(Space.Has(good with { Start = 3 }));
        Assert.False(Space.Has(good with { Hundredths = [99, 122, 149, 181, 221, 269, 328, 500] }));
        Assert.False(Space.Has(good with { Hundredths = [100, 122, 149, 181, 221, 269, 328, 501] }));
        Assert.False(Space.Has(good with { Hundredths = [100, 122, 149, 181, 180, 269, 328, 500] }));
    }

    [Fact]
    public void LongRope2_searches_from_the_critical_pair_on_and_computes_the_faster_ones()
    {
        var factors = FactorSpace.LongRope2(8, Scale, 3).Nearest(new("given", [1, 1, 1, 4.5, 3, 6, 9, 7])).Factors;
        Assert.Equal([1, Math.Round(Math.Pow(4.5, 1 / 3.0), 2), Math.Round(Math.Pow(4.5, 2 / 3.0), 2), 4.5, 4.5, 6, 8, 8], factors);
    }

    [Theory]
    // Of LongRoPE2's two models (section 3.2), or the formula by hand.
    [InlineData(96, 10_000, 2048, 19, 31)] // Phi-3 mini: the paper names 31
    [InlineData(128, 500_000, 8192, 24, 35)] // Llama 3 8B: the paper names 35
    [InlineData(64, 10_000, 256, 5, 13)]
    [InlineData(16, 10_000, 32, 0, 2)]
    [InlineData(16, 500, 8192, 7, 7)] // every pair completes its turn
    public void Critical_pairs_are_those_from_ten_turns_to_one_in_the_native_length(int headDim, double rotaryBase, int native, int first, int last)
    {
        var model = new PositionModel(headDim, rotaryBase, native, 4, 4);
        Assert.Equal(Enumerable.Range(first, last - first + 1), CriticalPair.Searched.Candidates(model));
        Assert.Equal(last, CriticalPair.Theoretical(model));
        Assert.Equal([last - 1], new CriticalPair(last - 1).Candidates(model));
        var wavelengths = RopeTheory.Wavelengths(new(model.InverseFrequencies()));
        Assert.Equal(wavelengths.Count(wavelength => wavelength < native / 10.0), first);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(5)]
    public void The_known_critical_pair_is_found(int pair)
    {
        int[] candidates = [1, 2, 3, 4, 5];
        var space = FactorSpace.LongRope2(8, Scale, candidates);
        // The factor of the critical pair is so small that the pair before it, with NTK's, is below the scale and no critical pair.
        var optimum = space.Nearest(new("optimum", [.. Enumerable.Range(0, 8).Select(n => 4.2 + (Math.Max(0, n - pair) / 4.0))], pair));
        IReadOnlyList<FactorSeed> seeds = [.. Seeds, .. FactorSeed.OfCriticalPairs(candidates, 8, Scale, seed: 1)];
        var tried = new List<RescaleFactors>();
        var found = new FactorSearch(space, new FactorSearchSettings { Seed = 1 }, candidate =>
        {
            tried.Add(candidate);
            return candidate.Factors.Zip(optimum.Factors, (factor, best) => (factor - best) * (factor - best)).Sum();
        }).Run(seeds);

        Assert.Equal(pair, found.Best.CriticalPair);
        Assert.All(found.Best.Factors.Zip(optimum.Factors), factors => Assert.Equal(factors.Second, factors.First, 0.25));
        Assert.Equal(candidates, tried.Select(candidate => candidate.CriticalPair).Distinct().Order());
        Assert.All(tried, candidate => Assert.True(space.Has(candidate)));
        // The first of each pair has one factor from it on.
        Assert.All(candidates, candidate => Assert.Single(tried.First(one => one.CriticalPair == candidate).Hundredths[candidate..].Distinct()));
    }

    [Theory]
    [InlineData("search", null)]
    [InlineData("0", 0)]
    [InlineData("31", 31)]
    public void A_critical_pair_is_a_number_or_searched(string text, int? pair) => Assert.Equal(pair, CriticalPair.Parse(text).Given);

    [Theory]
    [InlineData("-1")]
    [InlineData("find")]
    [InlineData("")]
    public void Other_critical_pairs_are_refused(string text) =>
        Assert.Equal($"'{text}' is neither a whole number of at least 0 nor 'search'", Assert.Throws<UserException>(() => CriticalPair.Parse(text)).Message);

    [Fact]
    public void The_known_optimum_is_found()
    {
        var found = Run(seed: 1);
        Assert.True(found.Fitness < 0.02 * found.Seeds.Min(), $"{found.Best}: {found.Fitness} after {string.Join(", ", found.Seeds)}");
        Assert.Equal(8, found.Best.Start);
        Assert.All(found.Best.Factors.Zip(Optimum), pair => Assert.Equal(pair.Second, pair.First, 0.25));
    }

    [Fact]
    public void The_best_never_rises_and_is_never_worse_than_a_seed()
    {
        var found = Run(seed: 2);
        Assert.Equal(41, found.Generations.Count);
        Assert.All(found.Generations.Zip(found.Generations.Skip(1)), pair => Assert.True(pair.Second <= pair.First));
        Assert.All(found.Seeds, seed => Assert.True(found.Fitness <= seed));
        Assert.Equal(found.Fitness, found.Generations[^1]);
        Assert.Equal(64 + (40 * 32), found.Candidates);
    }

    [Fact]
    public void No_candidate_is_tried_twice_and_all_keep_the_constraint()
    {
        var tried = new List<RescaleFactors>();
        new FactorSearch(Space, new FactorSearchSettings { Generations = 5 }, candidate =>
        {
            tried.Add(candidate);
            return Distance(candidate);
        }).Run(Seeds);
        Assert.Equal(64 + (5 * 32), tried.Select(candidate => candidate.ToString()).Distinct().Count());
        Assert.All(tried, candidate => Assert.True(Space.Has(candidate)));
    }

    [Fact]
    public void The_same_seed_finds_the_same_and_another_one_other_factors()
    {
        var (one, same, other) = (Run(seed: 3), Run(seed: 3), Run(seed: 4));
        Assert.Equal(one.Best.ToString(), same.Best.ToString());
        Assert.Equal(one.Generations, same.Generations);
        Assert.NotEqual(one.Best.ToString(), other.Best.ToString());
    }

    [Fact]
    public void A_space_without_new_candidates_ends_the_search()
    {
        var found = new FactorSearch(FactorSpace.LongRope(2, 1, 0), new FactorSearchSettings(), candidate => candidate.Hundredths[1])
            .Run([new FactorSeed("rope", [1, 1])]);
        Assert.Equal("100/100+0@0", found.Best.ToString());
        Assert.InRange(found.Candidates, 200, 26 * 27 / 2); // pairs of factors from 1 to 1.25 in order
    }

    private static FactorSearchResult Run(long seed) =>
        new FactorSearch(Space, new FactorSearchSettings { Seed = seed }, Distance).Run(Seeds);

    private static double Distance(RescaleFactors candidate) =>
        candidate.Factors.Zip(Optimum, (factor, best) => (factor - best) * (factor - best)).Sum() + (candidate.Start == 8 ? 0 : 0.5);
}
