using CutoffLen.Evaluation.Scoring;
using CutoffLen.Memory;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Attention;

/// <summary>The network where layers have different methods; gradients are in <see cref="Training.ContextParallelTests"/>.</summary>
public sealed class AttentionPlansTests
{
    private const int Length = 70; // beyond the native length

    private static readonly LlamaConfig Config = TinyModels.ForEveryMethod with { NumHiddenLayers = 4 };

    public static TheoryData<string> Specs => ["rope@3::4=nope", "rerope:window=16@0=dynamic-ntk:factor=2", "entropy-abf", "alibi@1:3=yarn+temperature"];

    [Theory]
    [MemberData(nameof(Specs))]
    public void Cached_decoding_is_one_full_forward(string spec)
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Random(Config);
        var layers = LayersOf(spec);
        var tokens = TinyModels.Tokens(Config, 1, Length);
        using var decoder = new KvCacheDecoder(model, layers, Length);
        foreach (var length in new[] { 30, 31, 50, 51, Length })
        {
            using var plans = AttentionPlans.Create(layers, TokenPositions.Sequential(length), Config, CPU);
            var row = tokens.narrow(1, 0, length);
            var expected = model.Hidden(row, plans)[0, length - 1];
            var actual = decoder.Hidden([.. row[0].data<long>().Select(id => (int)id)])[0];
            Assert.True(actual.allclose(expected, 1e-4, 1e-4), $"{spec} at {length}: {(actual - expected).abs().max().item<float>()} away");
        }
    }

    [Theory]
    [MemberData(nameof(Specs))]
    public void Scores_are_those_of_the_layers_one_after_the_other(string spec)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var model = TinyModels.Random(Config);
        var (layers, tokens) = (LayersOf(spec), TinyModels.Tokens(Config, 1, Length + 1));
        var x = model.Embed(tokens.narrow(1, 0, Length));
        for (var n = 0; n < Config.NumHiddenLayers; n++)
        {
            using var plan = AttentionPlan.Create(layers[n], TokenPositions.Sequential(Length), Config, CPU);
            model.Layers[n].Forward(x, plan, null, model.Workspace);
        }

        model.FinalNorm.Forward(x, x, model.Workspace);
        var expected = TokenLikelihood.NegativeLog(model, x[0], tokens[0].narrow(0, 1, Length)).data<float>().ToArray();
        int[] ids = [.. tokens.data<long>().Select(id => (int)id)];
        using var scorer = new LlamaScorer(model, layers);
        Assert.Equal(spec.Contains("dynamic", StringComparison.Ordinal), scorer.DependsOnLength);
        Assert.Equal(expected, scorer.Nll([new ScoringRequest(ids[..^1], [.. Enumerable.Range(0, Length)], ids[1..])])[0], (a, b) => Math.Abs(a - b) < 1e-4);
    }

    [Fact]
    public void One_method_written_by_layer_gives_the_same_bits()
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Random(Config);
        var tokens = TinyModels.Tokens(Config, 2, Length);
        foreach (var path in Enum.GetValues<AttentionPath>())
        {
            using var one = AttentionPlan.Create(LayersOf("yarn").OfEveryLayer!, TokenPositions.Sequential(Length), Config, CPU, path);
            using var byLayer = AttentionPlans.Create(LayersOf("yarn@1::2=yarn"), TokenPositions.Sequential(Length), Config, CPU, path);
            Assert.Same(byLayer[0], byLayer[3]);
            Assert.True(model.Hidden(tokens, one).equal(model.Hidden(tokens, byLayer)).all().item<bool>());
        }
    }

    [Fact]
    public void Memory_is_planned_for_the_tables_of_every_method_and_the_largest_bands()
    {
        var (rope, rerope) = (BandShape.Of(LayersOf("rope")), BandShape.Of(LayersOf("rerope:window=16")));
        var both = BandShape.Of(LayersOf("rope@0=rerope:window=16@3=rerope:window=16"));
        Assert.Equal(rope.TableBytesPerToken + rerope.TableBytesPerToken, both.TableBytesPerToken);
        Assert.Equal(rope.HostBytesPerToken + rerope.HostBytesPerToken, both.HostBytesPerToken);
        Assert.Equal((2, rerope.KeyEncodings, false), (both.Bands, both.KeyEncodings, both.IsPlain));
        Assert.Equal((1, true), (BandShape.Of(LayersOf("rope@3=nope")).Bands, BandShape.Of(LayersOf("rope@3=nope")).IsPlain));
    }

    [Theory]
    [InlineData("rope@3=nope", AttentionPath.Sdpa)]
    [InlineData("alibi@3=nope", AttentionPath.Sdpa)] // in layer 3
    [InlineData("alibi@3=nope+logn", AttentionPath.Blocked)]
    public void The_fused_path_is_chosen_where_any_layer_can_take_it(string spec, AttentionPath path) =>
        Assert.Equal(path, AttentionChoice.Of(AttentionChoice.Auto, LayersOf(spec), Config, CPU, ScalarType.Float32, Length).Path);

    private static LayerPlan LayersOf(string spec) => Config.SetupFor(PositionMethods.Parse(spec), 4 * Config.MaxPositionEmbeddings).Layers;
}
