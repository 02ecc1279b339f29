using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Tests.Positions.Methods;

public sealed class RotaryAngleTests
{
    private static readonly PositionModel Llama2 = new(128, 10_000, 4096, 32, 32);

    [Fact]
    public void A_distribution_counts_positions_by_angle()
    {
        // Four positions to a turn: a quarter each at 0, 90, 180, 270 degrees; half a degree more keeps clear of borders.
        var quarter = RotaryAngles.Distribution((Math.PI / 2) + (2 * Math.PI / 1e6), 8);
        Assert.Equal([0, 90, 180, 270], quarter.Index().Where(share => share.Item > 0.01).Select(share => share.Index));
        Assert.Equal(1, quarter.Sum(), 0.003); // 360 intervals hold a little before anything is counted
        // One turn in 720 positions: two in each interval.
        Assert.All(RotaryAngles.Distribution(2 * Math.PI / 720 * 1.00001, 720), share => Assert.Equal(2 / 720.0, share, 2 / 720.0));
        Assert.Equal(1, RotaryAngles.Distribution(0, 50)[0], 1e-3);
    }

    // Table 3 of arXiv 2410.01490: LLaMA2 at 8K and 16K, disturbance times 1e-3. Its own method is the one without threshold.
    // YaRN's 25.55 is the one that is off by more than rounding (25.62 here): which ramp the authors took is not known.
    [Theory]
    [InlineData("linear:factor=2", 8192, 24.08, 0.01)]
    [InlineData("linear:factor=4", 16_384, 33.67, 0.01)]
    [InlineData("yarn:factor=2", 8192, 25.55, 0.1)]
    [InlineData("yarn:factor=4", 16_384, 35.44, 0.01)]
    [InlineData("dprope:factor=2", 8192, 6.71, 0.01)]
    [InlineData("dprope:factor=4", 16_384, 22.92, 0.02)]
    public void Disturbances_of_llama_2_are_those_of_the_paper(string spec, int length, double expected, double tolerance)
    {
        var frequencies = new PositionSetup(PositionMethods.Parse(spec), Llama2, length).Method.RotaryFrequencies(length)!;
        var disturbance = AngleDisturbance.Of(frequencies, length, Llama2);
        Assert.Equal(expected, 1000 * disturbance.Mean, tolerance);
        Assert.Equal(64, disturbance.ByPair.Count);
        Assert.Equal(disturbance.Mean, disturbance.ByPair.Average(), 1e-12);
    }

    // The pairs that the authors' code interpolates, computed outside this program in float32 as 1180301012/DPRoPE at
    // 24cf650 has it: 1 where the divergence of the interpolated angles is the smaller one.
    [Theory]
    [InlineData("dprope:factor=2", "0011111011100001111100000000101111111111111110111111111111111111")]
    [InlineData("dprope:factor=4", "0110100010100000000001000100101111111111111111111111111111111111")]
    public void Pairs_are_interpolated_as_by_the_authors_code(string spec, string expected)
    {
        var kept = Llama2.InverseFrequencies();
        var frequencies = new PositionSetup(PositionMethods.Parse(spec), Llama2).Method.RotaryFrequencies(4096)!.InverseFrequencies;
        var actual = string.Concat(frequencies.Zip(kept, (now, before) => now == before ? '0' : '1'));
        // Differences of divergences down to 1e-6 decide, which a last bit of a frequency can turn round.
        Assert.InRange(actual.Zip(expected).Count(pair => pair.First != pair.Second), 0, 2);
        Assert.Equal(expected[28..], actual[28..]);
    }

    // The paper chooses t so that 80 of 128 dimensions are interpolated at 8K, and 64 at 16K.
    [Theory]
    [InlineData(2, 4.87e-4, 40)]
    [InlineData(4, 1.49e-3, 32)]
    public void A_threshold_keeps_pairs_whose_disturbances_are_close(int factor, double threshold, int interpolated)
    {
        var kept = Llama2.InverseFrequencies();
        var frequencies = new RotaryAngleMethod(Llama2, factor, 4096, threshold).Frequencies(4096).InverseFrequencies;
        Assert.InRange(frequencies.Zip(kept).Count(pair => pair.First != pair.Second), interpolated - 1, interpolated + 1);
    }
}
