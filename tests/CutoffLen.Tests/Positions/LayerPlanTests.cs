using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Tests.Positions;

public sealed class LayerPlanTests
{
    private static readonly PositionModel Model = new(16, 10_000, 32, 4, 2) { Layers = 8 };

    [Fact]
    public void Layers_that_share_a_method_share_the_object()
    {
        var plan = Setup("rope@3::4=nope@1=nope@0:1=rope").Layers;
        Assert.Equal(2, plan.Distinct.Count);
        Assert.Equal([1, 3, 7], Enumerable.Range(0, 8).Where(layer => plan[layer] is NopeMethod));
        Assert.Null(plan.OfEveryLayer);
        Assert.Same(plan[3], plan[1]);
        Assert.IsType<RopeMethod>(Setup("rope@3::4=rope").Layers.OfEveryLayer);
    }

    [Fact]
    public void A_factor_that_is_missing_is_filled_in_for_every_layer() =>
        Assert.Equal("yarn:factor=4,original=32@0=linear:factor=4", Setup("yarn@0=linear").Spec.ToString());

    [Theory]
    [InlineData("rope@0=dynamic-ntk", true)]
    [InlineData("dynamic-ntk@0=rope", true)]
    [InlineData("yarn@0=rope", false)]
    public void It_depends_on_the_length_where_a_layer_does(string spec, bool depends)
    {
        var plan = Setup(spec).Layers;
        Assert.Equal(depends, plan.DependsOnLength);
        Assert.Equal((true, !depends), (plan.SameAt(20, 32), plan.SameAt(32, 64)));
    }

    /// <summary>arXiv 2401.07004 and apply_eabf of the authors' code: base 500000 everywhere, queries unscaled in two layers.</summary>
    [Fact]
    public void Entropy_abf_leaves_the_queries_of_the_first_two_layers_unscaled()
    {
        var plan = Setup("entropy-abf").Layers;
        for (var layer = 0; layer < Model.Layers; layer++)
        {
            var band = Assert.Single(plan[layer].Bands(new TokenPositions([0, 8191])));
            var (queries, keys) = ((Rotation)band.Queries, (Rotation)band.Keys);
            var (sin, cos) = Math.SinCos(8191 * Math.Pow(500_000, -2.0 / 16)); // pair 1
            var scale = layer < 2 ? 1 : Math.Log(8192) / Math.Log(4096);
            var at = queries.HalfDim + 1;
            Assert.Equal((cos, sin), (keys.Cos[at], keys.Sin[at]), (expected, actual) => Near(expected, actual));
            Assert.Equal((scale * cos, scale * sin), (queries.Cos[at], queries.Sin[at]), (expected, actual) => Near(expected, actual));
        }

        static bool Near((double, double) one, (double, double) other) => Math.Abs(one.Item1 - other.Item1) + Math.Abs(one.Item2 - other.Item2) < 1e-5;
    }

    [Fact]
    public void The_proof_has_every_layers_tables()
    {
        string[] specs = ["rope@0=nope", "rope@1=nope", "nope@0=rope", "rope@0=linear:factor=2", "nope"];
        var proofs = specs.Select(spec => PositionProof.Of(Setup(spec), TokenPositions.Sequential(40))).ToList();
        Assert.Equal(specs.Length, proofs.Select(proof => proof.Hash).Distinct().Count());
        Assert.All(proofs, proof => Assert.True(proof.DiffersFromVanilla));
        Assert.False(PositionProof.Of(Setup("rope@2=linear:factor=1@5:=abf:base=10000"), TokenPositions.Sequential(40)).DiffersFromVanilla);
    }

    [Theory]
    [InlineData("rope@8=nope", "'@8=nope' selects no layer: the model's are 0 to 7")]
    [InlineData("rope@3=nope@0:4=linear", "'@3=nope' and '@0:4=linear:factor=4' both select layer 3")]
    [InlineData("rope@3=longrope", "lacks the key long")]
    public void What_does_not_fit_the_model_is_named(string spec, string part) =>
        Assert.Contains(part, Assert.Throws<UserException>(() => Setup(spec)).Message, StringComparison.Ordinal);

    [Fact]
    public void Without_a_number_of_layers_there_is_no_plan() => Assert.Contains(
        "how many layers there are is not known here",
        Assert.Throws<UserException>(() => new PositionSetup(PositionMethods.Parse("rope@3::4=nope"), Model with { Layers = 0 })).Message, StringComparison.Ordinal);

    private static PositionSetup Setup(string spec) => new(PositionMethods.Parse(spec), Model, 4 * Model.NativeLength);
}
