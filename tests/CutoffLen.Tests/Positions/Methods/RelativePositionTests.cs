using System.Globalization;
using CutoffLen.Common;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Positions.Methods;

/// <summary>The relative positions of every pair, read off the rotations, against loops over the papers' formulas.</summary>
public sealed class RelativePositionTests
{
    private const int Longest = 32;

    [Theory]
    [InlineData(12, 4)]
    [InlineData(10, 1)]
    [InlineData(7, 7)]
    [InlineData(1, 1)]
    [InlineData(32, 16)]
    public void String_shifts_distances_of_the_offset_and_more(int offset, int window)
    {
        for (var length = 1; length <= Longest; length++)
        {
            var actual = Distances($"string:shifted_offset={offset},local_window={window}", length);
            for (var i = 0; i < length; i++)
            {
                for (var j = 0; j <= i; j++)
                {
                    Assert.Equal(i - j < offset ? i - j : i - j - offset + window, actual[i][j]);
                }
            }
        }
    }

    [Fact]
    public void String_scales_queries_and_keys_as_the_authors_code_does()
    {
        var factor = (0.1 * Math.Log(2)) + 1;
        var bands = Create($"string:shifted_offset=4,attention_factor={factor:R}", 32).Bands(TokenPositions.Sequential(9));
        foreach (var rotation in bands.SelectMany(band => new[] { band.Queries, band.Keys }).Cast<Rotation>())
        {
            Assert.All(rotation.Cos.Zip(rotation.Sin), pair => Assert.Equal(factor, Math.Sqrt((pair.First * pair.First) + (pair.Second * pair.Second)), 1e-6));
        }
    }

    [Theory]
    [InlineData(3, 2, 12)]
    [InlineData(4, 1, 9)]
    [InlineData(1, 5, 14)]
    [InlineData(2, 2, 4)]
    public void Lampe_keeps_near_and_farthest_distances_and_squeezes_those_between(int head, int tail, int most)
    {
        for (var l = 1; l <= Longest; l++)
        {
            // With this b the sigmoid is 1 in float64, so that m is L wherever the sequence is longer than the original.
            var actual = Distances($"lampe:original=15,head={head},tail={tail},max_mapping_length={most},a=0,b=50", l);
            for (var i = 0; i < l; i++)
            {
                for (var j = 0; j <= i; j++)
                {
                    if (l <= 15 || i - j <= head)
                    {
                        Assert.Equal(i - j, actual[i][j]);
                    }
                    else if (i - j >= l - tail)
                    {
                        Assert.Equal(most - l + (i - j), actual[i][j]);
                    }
                    else
                    {
                        var slope = (decimal)(most - head - tail) / (l - head - tail);
                        Assert.InRange(actual[i][j] - (int)Math.Floor((slope * (i - j - head)) + head), 0, 1);
                        // Decimals divide 1 by 3 to a little less than a third.
                        int Floored(int position) => (int)Math.Floor((slope * position) + 1e-12m);
                        Assert.Equal(Floored(i - head) + head - Floored(j), actual[i][j]);
                    }
                }
            }
        }
    }

    /// <summary>As the authors' code computes them: queries at i // s + window - window / s, keys at j // s (LuLuLuyi/DPE, dpe_for_llama.py).</summary>
    [Theory]
    [InlineData("2/8/4/1", 8)]
    [InlineData("1/3", 6)]
    [InlineData("5", 10)]
    [InlineData("16/1.5/2/2/32/4/1/3", 12)]
    public void Dpe_scales_the_positions_of_each_group_of_pairs(string factors, int window)
    {
        var groups = factors.Split('/').Select(factor => double.Parse(factor, CultureInfo.InvariantCulture)).ToArray();
        var bands = Create($"dpe:scale_factors={factors},local_window={window}", Longest).Bands(TokenPositions.Sequential(Longest));
        for (var i = 0; i < Longest; i++)
        {
            for (var j = 0; j <= i; j++)
            {
                var band = bands.Single(band => band.First[i] <= j && j <= band.Last[i]);
                for (var pair = 0; pair < 8; pair++)
                {
                    var s = groups[pair * groups.Length / 8];
                    var distance = i - j < window ? i - j : Math.Floor(i / s) + window - (window / s) - Math.Floor(j / s);
                    var angle = Angle(band.Queries, i, pair) - Angle(band.Keys, j, pair) - (distance * Math.Pow(500_000, -pair / 8.0));
                    Assert.Equal(0, Math.IEEERemainder(angle, 2 * Math.PI), 1e-5);
                }
            }
        }
    }

    /// <summary>
    /// As in the authors' code with select_topk_dim: torch.topk chooses pairs of each head by their contributions, torch.where takes the
    /// scaled angles of those and the usual ones of the others.
    /// </summary>
    [Fact]
    public void Dpe_topk_scales_the_pairs_that_contribute_most_to_each_head_of_each_layer()
    {
        const int Layers = 2, Heads = 4, Pairs = 8, Window = 6, TopK = 3, S = 4;
        var random = new Random(3);
        double[] contributions = [.. Enumerable.Range(0, Layers * Heads * Pairs).Select(_ => random.NextDouble())];
        var model = new PositionModel(16, 500_000, Longest, Heads, 2) { Layers = Layers, PairRanks = PairContributions.Ranks(contributions, Pairs) };
        var setup = new PositionSetup(PositionMethods.Parse($"dpe:scale_factors={S},local_window={Window},topk={TopK}"), model);
        Assert.Equal(Layers, setup.Layers.Distinct.Count);
        for (var layer = 0; layer < Layers; layer++)
        {
            var far = setup.Layers[layer].Bands(TokenPositions.Sequential(Longest))[1];
            var (queries, keys) = ((RotationByHead)far.Queries, (RotationByHead)far.Keys);
            for (var head = 0; head < Heads; head++)
            {
                var ofHead = contributions.AsSpan((((layer * Heads) + head) * Pairs), Pairs).ToArray();
                var least = ofHead.OrderDescending().ElementAt(TopK - 1);
                for (var pair = 0; pair < Pairs; pair++)
                {
                    var (i, j) = (Longest - 1, head + pair);
                    var isChosen = ofHead[pair] >= least;
                    Assert.Equal((isChosen, isChosen), (queries.IsChosen[(head * Pairs) + pair], keys.IsChosen[(head * Pairs) + pair]));
                    var distance = isChosen ? Math.Floor(i / (double)S) + Window - (Window / (double)S) - Math.Floor(j / (double)S) : i - j;
                    var angle = Angle(isChosen ? queries.Chosen : queries.Others, i, pair) - Angle(isChosen ? keys.Chosen : keys.Others, j, pair);
                    Assert.Equal(0, Math.IEEERemainder(angle - (distance * Math.Pow(500_000, -pair / 8.0)), 2 * Math.PI), 1e-5);
                }
            }
        }
    }

    [Theory]
    [InlineData("dpe:scale_factors=2,topk=3", "needs a checkpoint with the order of the pairs")]
    [InlineData("dpe:scale_factors=2,topk=9", "must be at most 8")]
    [InlineData("dpe:scale_factors=2/2/2", "a number of factors that divides 8")]
    public void Dpe_refuses_what_does_not_fit_the_model(string spec, string problem) =>
        Assert.Contains(problem, Assert.Throws<UserException>(() => Create(spec, 64)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("grouped:group=3", 3, int.MaxValue)]
    [InlineData("grouped:group=1", 1, int.MaxValue)]
    [InlineData("recurrent:original=7", 1, 7)]
    public void Grouped_and_recurrent_positions_are_shared_within_a_document(string spec, int group, int period)
    {
        var band = Assert.Single(Create(spec, Longest).Bands(TokenPositions.Packed([20, 12])));
        for (var i = 0; i < Longest; i++)
        {
            var id = i < 20 ? i : i - 20;
            var angle = Angle(band.Queries, i, 0) - (id / group % period);
            Assert.Equal(0, Math.IEEERemainder(angle, 2 * Math.PI), 1e-5);
        }

        Assert.True(band.SharesRotation);
    }

    /// <summary>
    /// m by remap_uselen(l, "llama3") of the authors' code (scar-on/LaMPE, llama_cache1.py, commit 4e3c91f), whose L is 6204.4;
    /// for the defaults of a model of 8192 tokens the same function with L = 6144.
    /// </summary>
    [Theory]
    [InlineData("lampe:max_mapping_length=6204", 8193, 1036)]
    [InlineData("lampe:max_mapping_length=6204", 10_000, 1210)]
    [InlineData("lampe:max_mapping_length=6204", 16_384, 1993)]
    [InlineData("lampe", 8192, 8192)]
    [InlineData("lampe", 16_384, 1974)]
    [InlineData("lampe", 32_768, 4457)]
    public void Lampe_maps_a_length_as_the_authors_code_does(string spec, int length, int mapped)
    {
        var bands = Create(spec, 8192).Bands(TokenPositions.Sequential(length));
        var farthest = bands.Single(band => band.First[^1] == 0 && band.Last[^1] >= 0);
        Assert.Equal(mapped - 1, Distance(farthest, length - 1, 0));
    }

    private static PositionMethod Create(string spec, int nativeLength) =>
        new PositionSetup(PositionMethods.Parse(spec), new PositionModel(16, 500_000, nativeLength, 4, 2)).Method;

    /// <summary>[T][T] the relative position of query i and key j, for j up to i.</summary>
    private static int[][] Distances(string spec, int length)
    {
        var bands = Create(spec, Longest).Bands(TokenPositions.Sequential(length));
        return [.. Enumerable.Range(0, length).Select(i => Enumerable.Range(0, i + 1).Select(j =>
            Distance(bands.Single(band => band.First[i] <= j && j <= band.Last[i]), i, j)).ToArray())];
    }

    /// <summary>The angle between query i and key j in the slowest pair, in tokens.</summary>
    private static int Distance(Band band, int i, int j)
    {
        var distance = (Angle(band.Queries, i, 7) - Angle(band.Keys, j, 7)) * Math.Pow(500_000, 14.0 / 16);
        Assert.Equal(Math.Round(distance), distance, 0.1);
        return (int)Math.Round(distance);
    }

    private static double Angle(PositionEncoding encoding, int token, int pair)
    {
        var rotation = (Rotation)encoding;
        var at = (token * rotation.HalfDim) + pair;
        return Math.Atan2(rotation.Sin[at], rotation.Cos[at]);
    }
}
