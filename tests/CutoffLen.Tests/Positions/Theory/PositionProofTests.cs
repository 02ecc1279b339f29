using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Theory;
using CutoffLen.Tests.Positions.Methods;

namespace CutoffLen.Tests.Positions.Theory;

public sealed class PositionProofTests
{
    private static readonly PositionModel Model = new(16, 10_000, 64, 4, 2) { Clex = ClexGoldenTests.Weights(16) };

    [Fact]
    public void The_hash_is_stable_over_runs()
    {
        // ALiBi has no sines, so its bits are the same on every machine.
        Assert.Equal("c5628d67f7b0669b", Of("alibi", 40).Hash);
        Assert.Matches("^[0-9a-f]{16}$", Of("yarn", 40).Hash);
        Assert.Equal(Of("yarn", 40), Of("yarn", 40));
    }

    [Fact]
    public void Every_method_has_a_hash_of_its_own()
    {
        var hashes = PositionMethods.All.Select(entry => Of(entry.Example(Model), 300).Hash).ToArray();
        Assert.Equal(hashes.Length, hashes.Distinct().Count());
        Assert.Equal(hashes.Length - 1, PositionMethods.All.Count(entry => Of(entry.Example(Model), 300).DiffersFromVanilla));
    }

    [Theory]
    [InlineData("rope", 300)]
    [InlineData("linear:factor=1", 300)]
    [InlineData("dynamic-ntk", 64)]
    [InlineData("abf:base=10000", 300)]
    [InlineData("p-rope:fraction=1", 300)]
    [InlineData("yarn:factor=1", 300)]
    [InlineData("llama3:factor=1", 300)]
    [InlineData("ntk-parts:factor=1", 300)]
    [InlineData("leaky-rerope:factor=1", 300)]
    [InlineData("self-extend:group=1", 300)]
    [InlineData("rerope:window=300", 300)]
    [InlineData("string:shifted_offset=20", 20)]
    [InlineData("string:shifted_offset=20,local_window=20", 300)]
    [InlineData("lampe", 64)]
    [InlineData("hope:original=20000", 300)]
    [InlineData("rope+bca:window=600+logn:original=300", 300)]
    public void What_changes_nothing_equals_vanilla(string spec, int length)
    {
        var proof = Of(spec, length);
        Assert.False(proof.DiffersFromVanilla);
        proof.Check(largestLogitDifference: 0);
    }

    [Theory]
    [InlineData("linear:factor=2", 10)]
    [InlineData("dynamic-ntk", 65)]
    [InlineData("rope+bca:window=8", 20)]
    [InlineData("rope+logn:original=8", 20)]
    [InlineData("rerope:window=16", 20)]
    [InlineData("string:shifted_offset=20", 21)]
    [InlineData("string:shifted_offset=20,attention_factor=1.07", 2)]
    [InlineData("lampe", 65)]
    [InlineData("hope", 2)]
    public void A_method_that_should_change_something_and_does_not_is_an_error(string spec, int length)
    {
        var proof = Of(spec, length);
        Assert.True(proof.DiffersFromVanilla);
        proof.Check(largestLogitDifference: 0.5);
        Assert.Contains("was not applied", Assert.Throws<InvalidOperationException>(() => proof.Check(0)).Message, StringComparison.Ordinal);
    }

    private static PositionProof Of(string spec, int length) =>
        PositionProof.Of(new PositionSetup(PositionMethods.Parse(spec), Model, 4 * Model.NativeLength), TokenPositions.Sequential(length));
}
