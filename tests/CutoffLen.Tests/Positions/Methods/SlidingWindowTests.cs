using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Tests.Positions.Methods;

public sealed class SlidingWindowTests
{
    private static readonly PositionModel Model = new(8, 10_000, 64, 4, 2) { Layers = 4, Windows = [null, 3, 3, 5] };

    [Fact]
    public void A_query_sees_itself_and_the_tokens_before_it_in_its_document()
    {
        var band = Assert.Single(new SlidingWindowMethod(new RopeMethod(Model), 3).Bands(new TokenPositions([0, 1, 2, 9, 10, 0, 1], [0, 5])));
        Assert.Equal([0, 0, 0, 1, 2, 5, 5], band.First);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6], band.Last);
    }

    [Theory]
    [InlineData("rope")]
    [InlineData("self-extend:window=2,group=2")]
    [InlineData("rope@1:3=nope")]
    public void Layers_have_the_methods_of_the_spec_under_their_own_windows(string spec)
    {
        var layers = new PositionSetup(PositionMethods.Parse(spec), Model, 12).Layers;
        Assert.Same(layers[1], layers[2]);
        var plain = new PositionSetup(PositionMethods.Parse(spec), Model with { Windows = null }, 12).Layers;
        var positions = TokenPositions.Sequential(12);
        for (var layer = 0; layer < 4; layer++)
        {
            var window = Model.Windows![layer] ?? 12;
            bool Sees(LayerPlan plan, int query, int key) => plan[layer].Bands(positions).Any(band => band.First[query] <= key && key <= band.Last[query]);
            Assert.All(
                Enumerable.Range(0, 12).SelectMany(query => Enumerable.Range(0, 12).Select(key => (query, key))),
                pair => Assert.Equal(Sees(plain, pair.query, pair.key) && pair.query - pair.key < window, Sees(layers, pair.query, pair.key)));
        }
    }

    [Fact]
    public void Vanilla_RoPE_of_a_model_has_its_windows()
    {
        var positions = TokenPositions.Sequential(12);
        Assert.False(PositionProof.Of(new PositionSetup(PositionMethods.Parse("rope"), Model), positions).DiffersFromVanilla);
        Assert.True(PositionProof.Of(new PositionSetup(PositionMethods.Parse("linear:factor=2"), Model), positions).DiffersFromVanilla);
    }

    [Theory]
    [InlineData("permute", "'permute")]
    [InlineData("rope+logn", "'logn")]
    [InlineData("rope@0=rope+temperature", "'temperature")]
    [InlineData("drope:factor=2", "'drope")]
    public void What_encodes_whole_heads_is_refused_where_a_part_is_rotated(string spec, string fault)
    {
        var problem = Assert.Throws<UserException>(() => new PositionSetup(PositionMethods.Parse(spec), Model with { UnencodedDim = 4 })).Message;
        Assert.StartsWith(fault, problem, StringComparison.Ordinal);
        Assert.Contains("4 of the 12 numbers", problem);
    }
}
