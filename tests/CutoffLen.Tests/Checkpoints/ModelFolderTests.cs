using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Tests.Models;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints;

public sealed class ModelFolderTests : IDisposable
{
    private static readonly AdapterConfig Settings = new(
        4, 16, 0, ModuleSelection.Named("q_proj", "down_proj"), ["embed_tokens", "model.norm"], UseRslora: false);

    private readonly TemporaryFolder folder = new();

    public ModelFolderTests() => TinyCheckpoint.Save(folder["base"]);

    [Theory]
    [InlineData(false, ScalarType.Float32)]
    [InlineData(true, ScalarType.Float32)]
    [InlineData(false, ScalarType.BFloat16)]
    public void Adapters_are_loaded_into_their_base(bool rslora, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var trained = SaveAdapters(Settings with { UseRslora = rslora }, dtype);
        using var opened = ModelFolder.Open(folder["adapters"]);
        Assert.Equal("adapters", opened.Name);
        Assert.Equal(folder["base"], opened.Checkpoint.Folder);
        Assert.Equal("yarn:factor=2", opened.Config.PositionConfig.ToSpec().ToString()[..13]);
        using var merged = opened.Load(CPU, dtype);
        Assert.Equal(dtype, merged.Dtype);
        using var plain = opened.Checkpoint.Load(CPU, dtype);
        var expected = Logits(trained.Network);
        var (far, near) = (Away(plain), Away(merged));
        Assert.True(far > 0.05, $"the adapters change logits by {far} only");
        Assert.True(near < (dtype == ScalarType.Float32 ? 1e-5 : 0.3) * far, $"merged {near}, without adapters {far} away");
        double Away(LlamaForCausalLM other) => ((expected - Logits(other)).norm() / expected.norm()).item<float>();

        // Weights without adapters, and those trained whole, are what the files hold.
        Assert.True(Weight(plain, "model.layers.0.mlp.up_proj.weight").eq(Weight(merged, "model.layers.0.mlp.up_proj.weight")).all().item<bool>());
        Assert.True(trained.Parameters.View("model.norm.weight").eq(Weight(merged, "model.norm.weight")).all().item<bool>());
        Assert.False(Weight(plain, "model.norm.weight").eq(Weight(merged, "model.norm.weight")).all().item<bool>());
    }

    [Fact]
    public void A_plain_checkpoint_opens_as_it_is()
    {
        using var scope = NewDisposeScope();
        using var opened = ModelFolder.Open(folder["base"]);
        Assert.Null(opened.Adapters);
        Assert.False(opened.HasTokenizer);
        using var model = opened.Load();
        Assert.Equal(
            TinyCheckpoint.Load(folder["base"]), model.named_parameters().ToDictionary(p => p.name, p => p.parameter.bytes.ToArray()));
    }

    [Fact]
    public void Its_identity_is_that_of_all_its_files()
    {
        SaveAdapters(Settings, ScalarType.Float32).Dispose();
        var seen = new HashSet<string> { Identity("base"), Identity("adapters") };
        Assert.Equal(2, seen.Count);
        Assert.Contains(Identity("adapters"), seen);
        EditAdapters(json => json["lora_alpha"] = 8);
        Assert.True(seen.Add(Identity("adapters")), "other settings");
        File.SetLastWriteTimeUtc(folder["base/model.safetensors"], DateTime.UtcNow.AddSeconds(5));
        Assert.False(seen.Add(Identity("base")), "a copy with another time");
        var weights = File.ReadAllBytes(folder["base/model.safetensors"]);
        weights[^(weights.Length / 3)] ^= 1;
        File.WriteAllBytes(folder["base/model.safetensors"], weights);
        Assert.True(seen.Add(Identity("adapters")), "another base");
        Assert.True(seen.Add(Identity("base")), "trained on");
    }

    [Fact]
    public void What_does_not_fit_is_said_on_opening()
    {
        SaveAdapters(Settings, ScalarType.Float32).Dispose();
        Opens("adapters");
        EditAdapters(json => json["r"] = 2);
        Assert.Contains("of shape [2, 16]", Refused());
        EditAdapters(json => (json["r"], json["target_modules"]) = (4, new JsonArray("q_proj")));
        Assert.Contains("no place for", Refused());
        EditAdapters(json => json["target_modules"] = new JsonArray("c_attn"));
        Assert.Contains("c_attn", Refused());
        EditAdapters(json => json["base_model_name_or_path"] = "meta-llama/Llama-2-7b-hf");
        Assert.Contains("'meta-llama/Llama-2-7b-hf', which is no folder here", Refused());
        Assert.Contains("--base DIR", Refused());
        File.Delete(folder["adapters/adapter_model.safetensors"]);
        EditAdapters(json => (json["base_model_name_or_path"], json["target_modules"]) = (folder["base"], new JsonArray("q_proj")));
        Assert.Contains("adapter_model.safetensors", Refused());
    }

    public void Dispose() => folder.Dispose();

    private string Refused() => Assert.Throws<UserException>(() => ModelFolder.Open(folder["adapters"])).Message;

    private void Opens(string name) => ModelFolder.Open(folder[name]).Dispose();

    private string Identity(string name)
    {
        using var opened = ModelFolder.Open(folder[name]);
        return opened.Identity;
    }

    private void EditAdapters(Action<JsonObject> edit)
    {
        var path = folder["adapters/adapter_config.json"];
        var json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        edit(json);
        File.WriteAllText(path, json.ToJsonString());
    }

    /// <summary>Saves adapters that change the base's answers, for positions of their own.</summary>
    private TrainableModel SaveAdapters(AdapterConfig settings, ScalarType dtype)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var checkpoint = HuggingFaceCheckpoint.Open(folder["base"]);
        var model = TrainableModel.Lora(checkpoint.Config, checkpoint.Weights(CPU, dtype), dtype, CPU, settings, seed: 5);
        var generator = new Generator(11);
        foreach (var name in model.Parameters.Names.Where(name => name.Contains("lora_B") || name == "model.norm.weight"))
        {
            var view = model.Parameters.View(name);
            view.add_(randn(view.shape, generator: generator) * 0.1);
        }

        var positions = PositionConfig.Of(new PositionSetup(PositionMethods.Parse("yarn:factor=2"), checkpoint.Config.Positions, 128));
        AdapterCheckpoint.Save(
            folder["adapters"], settings with { BaseModel = folder["base"] },
            [.. model.Parameters.Names.Select(name => (name, model.Parameters.View(name)))], checkpoint.Config.With(positions), folder["base"]);
        return model;
    }

    private static TorchSharp.Modules.Parameter Weight(LlamaForCausalLM model, string name) => model.get_parameter(name)!;

    private static Tensor Logits(LlamaForCausalLM network)
    {
        using var noGrad = no_grad();
        using var plan = AttentionPlan.Create(new RopeMethod(network.Config.Positions), TokenPositions.Sequential(24), network.Config, CPU);
        return network.Logits(network.Hidden(TinyModels.Tokens(network.Config, 1, 24), plan)).to(ScalarType.Float32);
    }
}
