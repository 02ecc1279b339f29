using CutoffLen.Checkpoints.Lora;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs.Check;
using CutoffLen.Tests.Models;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

public sealed class LoraTests
{
    private static readonly AdapterConfig Settings = new(
        4, 16, 0, ModuleSelection.Named("q_proj", "v_proj", "o_proj", "down_proj"), ["embed_tokens", "model.norm", "input_layernorm"], UseRslora: false);

    public static TheoryData<string> Families => [.. LlamaFamily.All.Select(family => family.ModelType)];

    [Theory]
    [MemberData(nameof(Families))]
    public void By_default_all_of_attention_has_adapters_and_embedding_and_norms_are_trained_whole(string modelType)
    {
        var config = TinyModels.Config() with { ModelType = modelType };
        using var adapters = new LoraAdapters(config, new LoraConfig().ToAdapterConfig(config.Family), seed: 1);
        var names = LlamaParameters.Of(config).Select(parameter => parameter.Name).ToList();
        Assert.Equal(names.Where(name => name.EndsWith("proj.weight", StringComparison.Ordinal) && name.Contains("self_attn", StringComparison.Ordinal)), adapters.Tensors.TargetModules.Select(module => module.Weight));
        Assert.Equal(names.Where(name => name == LlamaParameters.Embedding || name.EndsWith("norm.weight", StringComparison.Ordinal)), adapters.Tensors.ModulesToSave.Select(saved => saved.Name));
    }

    [Fact]
    public void New_adapters_change_nothing()
    {
        using var scope = NewDisposeScope();
        using var full = TinyTraining.Full();
        using var lora = TinyTraining.Lora(Settings);
        Assert.True(Logits(full.Network).eq(Logits(lora.Network)).all().item<bool>());
        Assert.True(lora.Parameters.View("model.layers.0.self_attn.q_proj.lora_A.weight").abs().max().item<float>() is > 0 and <= 0.1768f);
    }

    [Theory]
    [InlineData(false, 0, Recompute.None, false)]
    [InlineData(true, 0.3, Recompute.Layers, false)]
    [InlineData(false, 0.3, Recompute.Layers, false)]
    [InlineData(false, 0.3, Recompute.Mlp, true)]
    [InlineData(true, 0, Recompute.None, true)]
    public void Gradients_are_those_of_an_ordinary_graph(bool tied, double dropout, Recompute recompute, bool onEmbeddingAndHead)
    {
        using var scope = NewDisposeScope();
        var config = TinyModels.Config(tied: tied);
        var settings = onEmbeddingAndHead
            ? Settings with { TargetModules = ModuleSelection.Named("q_proj", "embed_tokens", "lm_head"), ModulesToSave = ["model.norm"] }
            : Settings;
        using var model = Disturbed(settings with { LoraDropout = dropout }, config);
        var tokens = TinyModels.Tokens(config, 2, 40);
        var targets = TinyModels.Tokens(config, 2, 40, seed: 9);
        var (method, positions) = (new RopeMethod(config.Positions), TokenPositions.Sequential(40));
        using var drop = model.Adapters!.Dropout.For(3, 1);

        var expected = new AdaptedReference(model, model.Weights()).Run(method, positions, tokens, targets).Gradients;

        using var plan = AttentionPlan.Create(method, positions, config, CPU);
        model.Backprop(recompute).Run(tokens, targets, plan, 1.0 / 80);
        foreach (var name in model.Parameters.Names)
        {
            var (right, ours) = (expected[name], model.Parameters.GradientView(name));
            Assert.True(right.abs().max().item<double>() > 0, $"{name} has no gradient");
            var away = (right - ours).abs().max().item<double>() / right.abs().max().item<double>();
            Assert.True(away < 1e-5, $"the gradient of {name} is {away} away, relative to its largest element");
        }
    }

    [Fact]
    public void Dropout_is_drawn_from_step_token_and_adapter_and_off_outside_training()
    {
        using var scope = NewDisposeScope();
        var dropout = new LoraDropout(0.25, 9);
        var x = ones(100, 100);
        Assert.Same(x, dropout.Apply(x, 0, 0));
        float[] Drawn(long step, long firstToken, int adapter, long first = 0)
        {
            using var on = dropout.For(step, firstToken);
            return dropout.Apply(x, adapter, first).data<float>().ToArray();
        }

        var first = Drawn(1, 0, 0);
        Assert.Equal(first, Drawn(1, 0, 0));
        Assert.All([Drawn(2, 0, 0), Drawn(1, 1, 0), Drawn(1, 0, 1), Drawn(1, 0, 0, first: 100)], other => Assert.NotEqual(first, other));
        Assert.Equal(Drawn(1, 150, 0), Drawn(1, 50, 0, first: 100)); // a token's number in the step decides
        Assert.Equal(0.25, first.Count(value => value == 0) / 10_000.0, 0.02);
        Assert.All(first.Where(value => value != 0), value => Assert.Equal(1 / 0.75f, value, 1e-6));
    }

    [Fact]
    public void Adapters_are_saved_under_PEFTs_names_and_come_back()
    {
        using var folder = new TemporaryFolder();
        using var scope = NewDisposeScope();
        using var model = Disturbed(Settings with { UseRslora = true, LoraDropout = 0.1 }, TinyTraining.Config);
        AdapterCheckpoint.Save(folder["adapter"], model.Adapters!.Config, [.. model.Parameters.Names.Select(name => (name, model.Parameters.View(name)))], TinyTraining.Config);

        using var file = SafetensorsFile.Open(Path.Combine(folder["adapter"], "adapter_model.safetensors"));
        var names = file.Tensors.Select(tensor => tensor.Name).ToHashSet();
        Assert.Contains("base_model.model.model.layers.1.self_attn.q_proj.lora_A.weight", names);
        Assert.Contains("base_model.model.model.layers.0.mlp.down_proj.lora_B.weight", names);
        Assert.Contains("base_model.model.model.embed_tokens.weight", names);
        Assert.Contains("base_model.model.model.layers.0.input_layernorm.weight", names);
        Assert.Equal((2 * 4 * 2) + 1 + 1 + 2, names.Count);

        var read = AdapterConfig.Read(folder["adapter"]);
        Assert.Equal(model.Adapters.Config.Scale, read.Scale);
        Assert.Equal(Settings.TargetModules.Names, read.TargetModules.Names);
        Assert.Equal(Settings.ModulesToSave, read.ModulesToSave);
        using var again = TinyTraining.Lora(read);
        again.LoadAdapters(folder["adapter"]);
        Assert.True(Logits(model.Network).eq(Logits(again.Network)).all().item<bool>());

        using var other = TinyTraining.Lora(read with { R = 2 });
        var fault = Assert.Throws<UserException>(() => other.LoadAdapters(folder["adapter"]));
        Assert.Contains("of shape [2, 32]", fault.Message);
    }

    [Fact]
    public void Modules_that_the_model_lacks_are_named()
    {
        Assert.Contains("its head is the embedding; name embed_tokens", Fault(Settings with { ModulesToSave = ["lm_head"] }, tied: true));
        Assert.Contains("modules_to_save: this model has no nurm to train", Fault(Settings with { ModulesToSave = ["model.norm", "nurm"] }));
        Assert.Contains("lora_target_modules: this model has no qproj, 2.q_proj to train", Fault(Settings with { TargetModules = ModuleSelection.Named("q_proj", "qproj", "2.q_proj") }));
        Assert.Contains("target_modules: no module of this model gets an adapter from .*qproj", Fault(Settings with { TargetModules = ModuleSelection.Matching(".*qproj") }));

        string Fault(AdapterConfig settings, bool tied = false) => Assert.Throws<UserException>(() => new LoraAdapters(TinyModels.Config(tied: tied), settings, 0)).Message;
    }

    [Fact]
    public void LoraPlus_steps_B_faster_and_leaves_the_base_alone()
    {
        using var training = new TinyTraining(40, 40);
        using var scope = NewDisposeScope();
        var settings = TinyTraining.Settings(3, batch: 2) with { WeightDecay = 0, WarmupSteps = 0, WarmupRatio = 0 };
        using var model = TinyTraining.Lora(Settings, ratio: 16);
        var frozen = model.Weights().Where(weight => !model.Parameters.Contains(weight.Name)).ToDictionary(w => w.Name, w => w.Tensor.bytes.ToArray());
        var start = model.Parameters.Values.clone();
        using var trainer = training.Trainer(model, settings);
        trainer.TrainStep();
        // AdamW's first step moves every element by the rate.
        Assert.Equal(1e-3f, Moved("model.layers.1.self_attn.v_proj.lora_B.weight") / 16, 1e-5);
        Assert.Equal(1e-3f, Moved("model.norm.weight"), 1e-5);
        Assert.All(model.Weights().Where(weight => frozen.ContainsKey(weight.Name)), weight => Assert.Equal(frozen[weight.Name], weight.Tensor.bytes.ToArray()));

        float Moved(string name) => (model.Parameters.View(name) - model.Parameters.ViewOf(start, name)).abs().max().item<float>();
    }

    /// <summary>A model whose adapters are not zero.</summary>
    internal static TrainableModel Disturbed(AdapterConfig settings, LlamaConfig config)
    {
        var model = TinyTraining.Lora(settings, config);
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var generator = new Generator(11);
        foreach (var name in model.Parameters.Names.Where(name => name.Contains("lora_B") || name.Contains("embedding_A")))
        {
            var view = model.Parameters.View(name);
            view.copy_(randn(view.shape, generator: generator) * 0.1);
        }

        return model;
    }

    internal static Tensor Logits(LlamaForCausalLM network)
    {
        using var noGrad = no_grad();
        using var plan = AttentionPlan.Create(new RopeMethod(network.Config.Positions), TokenPositions.Sequential(24), network.Config, CPU);
        return network.Logits(network.Hidden(TinyModels.Tokens(network.Config, 1, 24), plan));
    }
}
