using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs.Check;
using CutoffLen.Tests.Models;
using CutoffLen.Tests.Positions.Methods;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

public sealed class LayerwiseBackpropTests
{
    public static TheoryData<bool, Recompute> Modes => new()
    {
        { false, Recompute.None }, { true, Recompute.None }, { false, Recompute.Mlp }, { false, Recompute.Layers }, { true, Recompute.Layers },
    };

    [Theory]
    [MemberData(nameof(Modes))]
    public void Gives_the_gradients_of_an_ordinary_graph(bool tied, Recompute recompute)
    {
        var config = TinyModels.Config(tied: tied, layers: 3);
        AssertOrdinaryGradients(config, new RopeMethod(config.Positions), TokenPositions.Sequential(70), 2, recompute);
        AssertOrdinaryGradients(config, new RopeMethod(config.Positions), TokenPositions.Packed([30, 1, 39]), 1, recompute);
    }

    [Theory]
    [MemberData(nameof(MethodPropertyTests.Specs), MemberType = typeof(MethodPropertyTests))]
    public void Gives_the_gradients_of_an_ordinary_graph_under_every_method(string spec)
    {
        var method = MethodPropertyTests.Create(spec);
        AssertOrdinaryGradients(TinyModels.ForEveryMethod, method, TokenPositions.Sequential(75), 2, Recompute.None);
        AssertOrdinaryGradients(TinyModels.ForEveryMethod, method, TokenPositions.Packed([40, 1, 35]), 1, Recompute.Layers);
    }

    [Fact]
    public void Gives_the_gradients_of_projections_with_biases()
    {
        var config = TinyModels.Config() with { QkvBias = true, OutputBias = true, MlpBias = true };
        AssertOrdinaryGradients(config, new RopeMethod(config.Positions), TokenPositions.Sequential(70), 2, Recompute.Layers);
    }

    [Fact]
    public void Gives_the_gradients_of_more_tokens_than_a_chunk_and_of_fewer_after_them()
    {
        var config = TinyModels.Config();
        AssertOrdinaryGradients(config, new RopeMethod(config.Positions), TokenPositions.Sequential(110), 40, Recompute.None);
    }

    [Fact]
    public void Bfloat16_stays_near_float64()
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config(layers: 3);
        var (method, positions) = (new RopeMethod(config.Positions), TokenPositions.Sequential(70));
        var (tokens, targets) = (TinyModels.Tokens(config, 2, 70), TinyModels.Tokens(config, 2, 70, seed: 8));
        using var model = TinyModels.Random(config, ScalarType.BFloat16);
        var exact = Reference(model).Run(method, positions, tokens, targets).Gradients;
        var plain = Reference(model, ScalarType.BFloat16).Run(method, positions, tokens, targets).Gradients;
        using var gradients = Gradients(model, Recompute.None, method, positions, tokens, targets, 1.0 / 140, out _);
        var (ours, theirs) = (0.0, 0.0);
        foreach (var (name, gradient) in exact)
        {
            ours += Away(gradients.GradientView(name), gradient) / exact.Count;
            theirs += Away(plain[name], gradient) / exact.Count;
        }

        Assert.True(ours > 1e-4 && ours < 1.2 * theirs, $"gradients are {ours} away, those of autograd {theirs}");

        double Away(Tensor gradient, Tensor from) => ((gradient.to(ScalarType.Float64) - from).norm() / from.norm()).item<double>();
    }

    [Fact]
    public void Neither_recomputation_nor_offloading_changes_a_bit()
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config(layers: 3);
        var (method, positions) = (new RopeMethod(config.Positions), TokenPositions.Sequential(70));
        var tokens = TinyModels.Tokens(config, 2, 70);
        using var model = TinyModels.Random(config);
        var kept = Bits(Recompute.None, null);
        Assert.Contains(kept, bit => bit != 0);
        Assert.Equal(kept, Bits(Recompute.Mlp, null));
        Assert.Equal(kept, Bits(Recompute.Layers, null));
        // Offloading from the CPU to the CPU makes the copies that a GPU makes.
        Assert.Equal(kept, Bits(Recompute.Layers, CPU));

        float[] Bits(Recompute recompute, Device? offloadDevice)
        {
            using var flat = Gradients(model, recompute, method, positions, tokens, tokens, 0.01, out _, offloadDevice);
            return flat.Gradients.data<float>().ToArray();
        }
    }

    internal static void AssertOrdinaryGradients(
        LlamaConfig config, PositionMethod method, TokenPositions positions, int batch, Recompute recompute)
    {
        using var scope = NewDisposeScope();
        using var model = TinyModels.Random(config);
        var tokens = TinyModels.Tokens(config, batch, positions.Length);
        var targets = TinyModels.Tokens(config, batch, positions.Length, seed: 8);
        targets[0, 3] = -100;
        var count = (batch * positions.Length) - 1;

        var expected = Reference(model).Run(method, positions, tokens, targets);
        using var flat = Gradients(model, recompute, method, positions, tokens, targets, 1.0 / count, out var loss);
        Assert.Equal(expected.Loss, loss / count, 1e-5);
        foreach (var (name, gradient) in expected.Gradients)
        {
            var away = (gradient - flat.GradientView(name)).abs().max().item<double>() / gradient.abs().max().item<double>();
            Assert.True(away < 2e-5, $"the gradient of {name} is {away} away, relative to its largest element");
        }
    }

    private static DenseReference Reference(LlamaForCausalLM model, ScalarType dtype = ScalarType.Float64) =>
        new(model.Config, model.named_parameters().Select(p => (p.name, (Tensor)p.parameter)), dtype);

    /// <summary>The gradients of a step on a copy of a model, and its summed loss.</summary>
    private static FlatParameters Gradients(
        LlamaForCausalLM model, Recompute recompute, PositionMethod method, TokenPositions positions, Tensor tokens, Tensor targets, double scale,
        out double loss, Device? offloadDevice = null)
    {
        var (config, flat) = (model.Config, Flatten(model));
        using var trained = new LlamaForCausalLM(config, (name, _) => flat.View(name));
        flat.Attach(trained.named_parameters().Select(p => (p.name, p.parameter)));
        using var plan = AttentionPlan.Create(method, positions, config, CPU);
        var backprop = new LayerwiseBackprop(
            trained, recompute, flat.GradientView("model.embed_tokens.weight"),
            flat.GradientView(config.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"), offloadDevice);
        using var sum = backprop.Run(tokens, targets, plan, scale);
        loss = sum.item<double>();
        return flat;
    }

    private static FlatParameters Flatten(LlamaForCausalLM model)
    {
        var shapes = model.named_parameters().Select(p => new ParameterShape(p.name, p.parameter.shape));
        var flat = new FlatParameters(ParameterGroup.ByShape(shapes), model.Dtype, CPU);
        using var noGrad = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
        {
            flat.View(name).copy_(parameter);
        }

        return flat;
    }
}
