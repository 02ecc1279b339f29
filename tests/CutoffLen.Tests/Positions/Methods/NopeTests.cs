using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Tests.Models;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Positions.Methods;

public sealed class NopeTests
{
    private static readonly LlamaConfig Config = TinyModels.Config();

    /// <summary>arXiv 2512.12167: the model without RoPE is the model with cosine 1 and sine 0 everywhere.</summary>
    [Theory]
    [InlineData("nope")]
    [InlineData("drope:factor=1")]
    [InlineData("drope:factor=16,coefficient=0")]
    public void Logits_are_those_of_RoPE_with_every_token_at_position_0(string spec)
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Random(Config);
        var tokens = TinyModels.Tokens(Config, batch: 2, length: 20);
        var expected = Logits("rope", new TokenPositions(new int[20]));
        Assert.True(Logits(spec, TokenPositions.Sequential(20)).equal(expected).all().item<bool>());
        Assert.False(Logits("rope", TokenPositions.Sequential(20)).allclose(expected));

        Tensor Logits(string of, TokenPositions positions)
        {
            using var plan = AttentionPlan.Create(Create(of, 20), positions, Config, CPU);
            return model.Logits(model.Hidden(tokens, plan));
        }
    }

    // beta* = 1 + c ln(s), computed in Python.
    [Theory]
    [InlineData("drope", 128, 1.0713941595976744)] // twice the native length
    [InlineData("drope", 64, 1)]
    [InlineData("drope", 32, 1)]
    [InlineData("drope:coefficient=0.412", 256, 1.571153276781395)]
    [InlineData("drope:coefficient=0.412,factor=4", 64, 1.571153276781395)]
    [InlineData("nope", 256, 1)]
    public void Logits_of_attention_are_scaled_by_beta(string spec, int target, double beta)
    {
        var band = Assert.Single(Create(spec, target).Bands(TokenPositions.Sequential(3)));
        Assert.True(band.SharesRotation);
        var table = (Rotation)band.Keys;
        // Queries and keys have a factor each.
        Assert.All(table.Cos, cos => Assert.Equal(beta, (double)cos * cos, 1e-6));
        Assert.All(table.Sin, sin => Assert.Equal(0, sin));
    }

    private static PositionMethod Create(string spec, int target) => Config.SetupFor(PositionMethods.Parse(spec), target).Method;
}
