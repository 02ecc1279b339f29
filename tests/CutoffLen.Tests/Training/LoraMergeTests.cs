using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Tests.Checkpoints.Adapters;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

/// <summary>Adapters that are trained here, as other programs read them.</summary>
public sealed class LoraMergeTests : IDisposable
{
    private static readonly string[] AllSaved = ["embed_tokens", "norm", "input_layernorm", "post_attention_layernorm"];

    private readonly TemporaryFolder folder = new();

    /// <summary>Targets, modules to save, rank, rslora, dropout, tied.</summary>
    public static TheoryData<string[], string[], int, bool, double, bool> Options { get; } = new()
    {
        { ["q_proj", "k_proj", "v_proj", "o_proj"], AllSaved, 8, false, 0, false },
        { ["q_proj", "k_proj", "v_proj", "o_proj"], AllSaved, 8, false, 0, true },
        { ["q_proj"], [], 1, true, 0.2, false },
        { ["self_attn.o_proj", "0.mlp.up_proj"], ["model.norm", "lm_head"], 3, true, 0, false },
        { ["all-linear"], ["embed_tokens"], 2, false, 0.1, true },
        { [@".*layers\.1\.(self_attn|mlp)\..*_proj"], ["0.mlp", "layernorm"], 4, false, 0, false },
        { ["embed_tokens", "lm_head", "v_proj"], [], 4, true, 0.1, false },
        { ["embed_tokens", "v_proj"], ["norm"], 4, false, 0, true },
        { ["lm_head"], [], 5, false, 0.3, true },
    };

    [Theory]
    [MemberData(nameof(Options))]
    public void Merges_to_what_plain_arithmetic_makes_of_its_files(string[] targets, string[] saved, int r, bool rslora, double dropout, bool tied)
    {
        var config = TinyCheckpoint.Config with { TieWordEmbeddings = tied };
        TinyCheckpoint.Save(folder["base"], config, seed: 4);
        using var scope = NewDisposeScope();
        using var trained = Train(new AdapterConfig(r, 12, dropout, ModuleSelection.Of(targets), saved, rslora));
        int[] ids = [.. Enumerable.Range(0, 60).Select(n => (n * 23) % 40)];

        var report = LoraMerge.Merge(folder["adapters"], folder["base"], folder["merged"], [ids], ScalarType.Float32, CPU);

        var scale = 12 / (rslora ? Math.Sqrt(r) : r);
        var staysTied = tied && !targets.Contains("embed_tokens") && !targets.Contains("lm_head");
        AdapterKindTests.AssertMerged(PlainMerge.Of(folder["base"], folder["adapters"], _ => scale), folder["merged"], staysTied);
        Assert.Equal(report.NllBefore, report.NllAfter, 1e-5);
        Assert.Equal(Nll(trained.Network, ids), report.NllBefore, 1e-5); // what training saw
    }

    [Fact]
    public void A_tied_embedding_is_written_so_that_every_PEFT_reads_the_same_numbers()
    {
        TinyCheckpoint.Save(folder["base"], TinyCheckpoint.Config with { TieWordEmbeddings = true });
        using var scope = NewDisposeScope();
        using var trained = Train(new AdapterConfig(2, 4, 0, ModuleSelection.Named("q_proj"), ["embed_tokens"], false));
        var json = JsonNode.Parse(File.ReadAllText(folder["adapters/adapter_config.json"]))!;
        Assert.True((bool)json["ensure_weight_tying"]!); // PEFT from 0.19 on keeps the two tied
        Assert.Equal(["embed_tokens", "lm_head"], json["modules_to_save"]!.AsArray().Select(name => (string)name!)); // earlier ones read each by itself
        var tensors = PlainTensors.Read(folder["adapters/adapter_model.safetensors"]);
        Assert.Equal(tensors["base_model.model.model.embed_tokens.weight"].Values, tensors["base_model.model.lm_head.weight"].Values);

        json["ensure_weight_tying"] = null;
        File.WriteAllText(folder["adapters/adapter_config.json"], json.ToJsonString());
        int[] ids = [3, 1, 4, 1, 5, 9, 2, 6];
        var apart = LoraMerge.Merge(folder["adapters"], folder["base"], folder["apart"], [ids], ScalarType.Float32, CPU);
        Assert.Equal(Nll(trained.Network, ids), apart.NllAfter, 1e-5);

        using var checkpoint = HuggingFaceCheckpoint.Open(folder["base"]);
        using var resumed = TrainableModel.Lora(checkpoint.Config, checkpoint.Weights(), ScalarType.Float32, CPU, trained.Adapters!.Config with { EnsureWeightTying = false, ModulesToSave = ["embed_tokens"] }, seed: 5);
        json["ensure_weight_tying"] = true;
        File.WriteAllText(folder["adapters/adapter_config.json"], json.ToJsonString());
        resumed.LoadAdapters(folder["adapters"]);
        Assert.Equal(Nll(trained.Network, ids), Nll(resumed.Network, ids));
    }

    [Fact]
    public void What_was_merged_wrong_is_not_written()
    {
        TinyCheckpoint.Save(folder["base"], TinyCheckpoint.Config);
        using var scope = NewDisposeScope();
        using var trained = Train(new AdapterConfig(2, 4, 0, ModuleSelection.Named("q_proj"), ["model.norm"], false));
        var tensors = PlainTensors.Read(folder["adapters/adapter_model.safetensors"]);
        tensors["base_model.model.model.norm.weight"].Values[0] = double.NaN;
        PlainTensors.Write(folder["adapters/adapter_model.safetensors"], tensors);
        var fault = Assert.Throws<UserException>(() => LoraMerge.Merge(folder["adapters"], folder["base"], folder["merged"], [[1, 2, 3]], ScalarType.Float32, CPU));
        Assert.Contains("not merged: on 2 tokens the loss is NaN", fault.Message);
        Assert.False(Directory.Exists(folder["merged"]));
    }

    public void Dispose() => folder.Dispose();

    /// <summary>Adapters on the base with random values in place of training, saved as a run saves them.</summary>
    private TrainableModel Train(AdapterConfig settings)
    {
        using var noGrad = no_grad();
        using var checkpoint = HuggingFaceCheckpoint.Open(folder["base"]);
        var model = TrainableModel.Lora(checkpoint.Config, checkpoint.Weights(CPU, ScalarType.Float32), ScalarType.Float32, CPU, settings, seed: 5);
        using var generator = new Generator(11);
        model.Parameters.Values.add_(randn(model.Parameters.Values.shape, generator: generator) * 0.2);
        AdapterCheckpoint.Save(
            folder["adapters"], model.Adapters!.Config with { BaseModel = folder["base"] },
            [.. model.Parameters.Names.Select(name => (name, model.Parameters.View(name)))], checkpoint.Config, folder["base"]);
        return model;
    }

    private static double Nll(LlamaForCausalLM model, int[] ids)
    {
        using var scope = NewDisposeScope();
        var tokens = tensor(Array.ConvertAll(ids, id => (long)id));
        using var plan = AttentionPlan.Create(new RopeMethod(model.Config.Positions), TokenPositions.Sequential(ids.Length), model.Config, CPU);
        return TokenLikelihood.OfDocument(model, model.Hidden(tokens.unsqueeze(0), plan).squeeze(0), tokens).mean().item<float>();
    }
}
