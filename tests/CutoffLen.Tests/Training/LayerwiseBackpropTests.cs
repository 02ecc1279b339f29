using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Tests.Models;
using CutoffLen.Tests.Positions.Methods;
using CutoffLen.Training;
using CutoffLen.Training.Optimizers;
using DenseAttention = CutoffLen.Tests.Models.Attention.DenseAttention;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Tests.Training;

public sealed class LayerwiseBackpropTests
{
    public static TheoryData<bool, Recompute> Modes => new()
    {
        { false, Recompute.None }, { true, Recompute.None }, { false, Recompute.Layers }, { true, Recompute.Layers },
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
    public void Offloaded_inputs_change_no_bit()
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config(layers: 3);
        var tokens = TinyModels.Tokens(config, 2, 70);
        using var plan = AttentionPlan.Create(new RopeMethod(config.Positions), TokenPositions.Sequential(70), config, CPU);
        // Offloading from the CPU to the CPU makes the copies that a GPU makes.
        var (kept, offloaded) = (Gradients(null), Gradients(CPU));
        Assert.True(kept.abs().max().item<float>() > 0);
        Assert.True(kept.eq(offloaded).all().item<bool>());

        Tensor Gradients(Device? offloadDevice)
        {
            using var model = TinyModels.Random(config);
            using var flat = Flatten(model);
            using var trained = new LlamaForCausalLM(config, (name, _) => flat.View(name));
            flat.Attach(trained.named_parameters().Select(p => (p.name, p.parameter)));
            new LayerwiseBackprop(trained, Recompute.Layers, flat.GradientView("model.embed_tokens.weight"), flat.GradientView("lm_head.weight"), offloadDevice)
                .Run(tokens, tokens, plan, 0.01);
            return flat.Gradients.clone();
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

        var expected = OrdinaryGradients(model, method, positions, tokens, targets, out var expectedLoss);
        using var flat = Flatten(model);
        using var trained = new LlamaForCausalLM(config, (name, _) => flat.View(name));
        flat.Attach(trained.named_parameters().Select(p => (p.name, p.parameter)));
        using var plan = AttentionPlan.Create(method, positions, config, CPU);
        var backprop = new LayerwiseBackprop(
            trained, recompute, flat.GradientView("model.embed_tokens.weight"),
            flat.GradientView(config.TieWordEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"));
        var loss = backprop.Run(tokens, targets, plan, 1.0 / count).item<double>() / count;

        Assert.Equal(expectedLoss, loss, 1e-5);
        foreach (var (name, gradient) in expected)
        {
            var away = (gradient - flat.GradientView(name)).abs().max().item<float>() / gradient.abs().max().item<float>();
            Assert.True(away < 1e-5, $"the gradient of {name} is {away} away, relative to its largest element");
        }
    }

    private static FlatParameters Flatten(LlamaForCausalLM model)
    {
        var shapes = model.named_parameters().Select(p => new ParameterShape(p.name, p.parameter.shape));
        var flat = new FlatParameters(ParameterGroup.ByShape(shapes), ScalarType.Float32, CPU);
        using var noGrad = no_grad();
        foreach (var (name, parameter) in model.named_parameters())
        {
            flat.View(name).copy_(parameter);
        }

        return flat;
    }

    private static Dictionary<string, Tensor> OrdinaryGradients(
        LlamaForCausalLM model, PositionMethod method, TokenPositions positions, Tensor tokens, Tensor targets, out double loss)
    {
        foreach (var parameter in model.parameters())
        {
            parameter.requires_grad = true;
        }

        var x = model.Embed(tokens);
        foreach (var layer in model.Layers)
        {
            var (q, k, v) = layer.Project(x);
            x = layer.Finish(x, DenseAttention.Attend(method, positions, model.Config, q, k, v));
        }

        var logits = model.Logits(model.Norm(x)).flatten(0, 1);
        var mean = cross_entropy(logits, targets.flatten());
        mean.backward();
        loss = mean.item<float>();
        return model.named_parameters().ToDictionary(p => p.name, p => p.parameter.grad!);
    }
}
