using CutoffLen.Positions;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Positions.Methods;

public sealed class PRopeTests
{
    // Worked out by hand: base 10000 and head dimension 8 give 1, 1/10, 1/100, 1/1000; int(p * 8 // 2) of them are kept, as in
    // the paper's listing (arXiv 2410.06205).
    [Theory]
    [InlineData("p-rope", 1, 0.1, 0.01, 0)]
    [InlineData("p-rope:fraction=0.5", 1, 0.1, 0, 0)]
    [InlineData("p-rope:fraction=0.49", 1, 0, 0, 0)]
    [InlineData("p-rope:fraction=0", 0, 0, 0, 0)]
    [InlineData("p-rope:fraction=1", 1, 0.1, 0.01, 0.001)]
    // HoPE: wavelengths of 2 pi, 20 pi, 200 pi (628.3) and 2000 pi (6283.2) tokens, up to the original length.
    [InlineData("hope", 1, 0.1, 0, 0)]
    [InlineData("hope:original=6", 0, 0, 0, 0)]
    [InlineData("hope:original=62", 1, 0, 0, 0)]
    [InlineData("hope:original=628", 1, 0.1, 0, 0)]
    [InlineData("hope:original=629", 1, 0.1, 0.01, 0)]
    [InlineData("hope:original=6284", 1, 0.1, 0.01, 0.001)]
    public void Only_the_fastest_pairs_rotate(string spec, double first, double second, double third, double fourth)
    {
        var method = new PositionSetup(PositionMethods.Parse(spec), new PositionModel(8, 10_000, 64, 4, 2)).Method;
        var actual = method.RotaryFrequencies(64)!.InverseFrequencies;
        double[] expected = [first, second, third, fourth];
        Assert.Equal(expected.Length, actual.Length);
        Assert.All(expected.Zip(actual), pair => Assert.Equal(pair.First, pair.Second, 1e-12));
    }
}
