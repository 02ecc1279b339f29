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
        static double Angle(PositionEncoding encoding, int token)
        {
            var rotation = (Rotation)encoding;
            var at = ((token + 1) * rotation.HalfDim) - 1;
            return Math.Atan2(rotation.Sin[at], rotation.Cos[at]);
        }

        var distance = (Angle(band.Queries, i) - Angle(band.Keys, j)) * Math.Pow(500_000, 14.0 / 16);
        Assert.Equal(Math.Round(distance), distance, 0.1);
        return (int)Math.Round(distance);
    }
}
