using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs;
using CutoffLen.Runs.Check;
using CutoffLen.Tests.Checkpoints;
using CutoffLen.Tests.Checkpoints.Adapters;
using CutoffLen.Tests.Models;
using CutoffLen.Tests.Models.Families;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Training;

/// <summary>Adapters beside weights in 4 bits (QLoRA): gradients, runs, merging, what is refused.</summary>
public sealed class QloraTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("qwen3", Recompute.None)]
    [InlineData("phi4-mini", Recompute.Layers)] // fused projections
    [InlineData("olmo2-bias", Recompute.Mlp)] // norms of results
    public void Gradients_are_those_beside_the_dequantized_weights(string family, Recompute recompute)
    {
        using var scope = NewDisposeScope();
        using var made = FamilyCheckpoint.Make(family);
        using var checkpoint = HuggingFaceCheckpoint.Open(made.Folder);
        WeightSource Quantized() => checkpoint.Weights(dtype: ScalarType.Float32, quantization: Quantization.Nf4);
        var (tokens, targets) = (TinyModels.Tokens(checkpoint.Config, 2, 40), TinyModels.Tokens(checkpoint.Config, 2, 40, seed: 9));

        var ours = Gradients(checkpoint.Config with { Quantization = Quantization.Nf4 }, Quantized());
        var dequantized = Quantized();
        Assert.Equal(Gradients(checkpoint.Config, (name, shape) => dequantized(name, shape).Dense()), ours);
        Assert.NotEqual(Gradients(checkpoint.Config, checkpoint.Weights(dtype: ScalarType.Float32)), ours);
        Assert.All(ours.Chunk(100), part => Assert.Contains(part, gradient => gradient != 0));

        float[] Gradients(LlamaConfig config, WeightSource weights)
        {
            using var model = TrainableModel.Lora(config, weights, ScalarType.Float32, CPU, new(4, 16, 0, ModuleSelection.Of(["all-linear"]), ["norm"], false), seed: 5);
            using var noGrad = no_grad();
            model.Parameters.Values.add_(randn(model.Parameters.Values.shape, generator: new Generator(11)) * 0.1); // B is zero at first
            using var plan = AttentionPlans.Create(config.SetupFor(PositionMethods.Auto, 40).Layers, TokenPositions.Sequential(40), config, CPU);
            model.Backprop(recompute).Run(tokens, targets, plan, 1.0 / 80);
            return [.. model.Parameters.Gradients.data<float>()];
        }
    }

    [Fact]
    public void A_run_is_resumed_in_the_same_bits_and_its_adapters_load_and_merge_as_trained()
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 2);
        float[] trained = [];
        var final = Finetune("run", steps: 2, model => trained = Nll(model));
        Finetune("resumed", steps: 1);
        Assert.Equal(File.ReadAllBytes(Path.Combine(final, AdapterFile.FileName)), File.ReadAllBytes(Path.Combine(Finetune("resumed", steps: 2), AdapterFile.FileName)));

        // The adapters' folder says that their base is quantized: it is loaded so, and merged so.
        Assert.Equal(Quantization.Nf4, HuggingFaceCheckpoint.ReadConfig(final, out _).Quantization);
        MergeRun.Run(final, folder["merged"], compute: () => new(CPU, ScalarType.Float32, ""));
        foreach (var loaded in new[] { final, folder["merged"] })
        {
            using var opened = ModelFolder.Open(loaded);
            using var model = opened.Load(CPU, ScalarType.Float32);
            Assert.Null(model.Config.Quantization);
            Assert.Equal(trained, Nll(model), (a, b) => Math.Abs(a - b) < 5e-4);
        }

        Assert.Null(HuggingFaceCheckpoint.ReadConfig(folder["merged"], out _).Quantization);

        // Without it the same adapters on the base that was not quantized are another model.
        TinyCheckpoint.EditConfig(final, json => json.Remove("quantization_config"));
        using var apart = ModelFolder.Open(final);
        using var other = apart.Load(CPU, ScalarType.Float32);
        Assert.NotEqual(trained, Nll(other), (a, b) => Math.Abs(a - b) < 5e-2);
    }

    [Fact]
    public void A_checkpoint_in_4_bits_is_fine_tuned_by_adapters()
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 1);
        using (var made = ModelFolder.Open(folder["model"]))
        {
            _ = new BitsAndBytesCheckpoint(folder["4bit"], folder["dense"], vocabulary: made.Config.VocabSize);
        }

        File.Copy(folder["model/tokenizer.model"], folder["4bit/tokenizer.model"]);
        float[] trained = [];
        var final = Finetune("run", steps: 2, model => trained = Nll(model), run => run with { Model = run.Model with { Model = folder["4bit"], Quantization = null } });
        MergeRun.Run(final, folder["merged"], compute: () => new(CPU, ScalarType.Float32, ""));
        using var merged = ModelFolder.Open(folder["merged"]);
        using var model = merged.Load(CPU, ScalarType.Float32);
        Assert.Equal(trained, Nll(model), (a, b) => Math.Abs(a - b) < 5e-4);

        Assert.Contains(
            $"weights in 4 bits (as {folder["4bit"]} has them) cannot be trained",
            Assert.Throws<UserException>(() => Finetune("full", 1, change: run => run with { Model = run.Model with { Model = folder["4bit"], Quantization = null }, Training = run.Training with { Method = TrainingMethod.Full } })).Message);
    }

    [Theory]
    [InlineData("all-linear")]
    [InlineData("lora_bias")]
    [InlineData("use_dora")]
    [InlineData("modules_to_save: embedding and head")]
    public void Adapters_are_merged_into_the_dequantized_weights(string name)
    {
        var kind = AdapterKind.All.Single(kind => kind.Name == name);
        kind.Write(folder["base"], folder["adapters"]);
        File.Copy(folder["base/config.json"], folder["adapters/config.json"]);
        TinyCheckpoint.EditConfig(folder["adapters"], json => json["quantization_config"] = new JsonObject { ["load_in_4bit"] = true, ["bnb_4bit_quant_type"] = "nf4" });

        var report = MergeRun.Run(folder["adapters"], folder["merged"], folder["base"], compute: () => new(CPU, ScalarType.Float32, ""));

        Assert.Equal(report.NllBefore, report.NllAfter, 1e-5);
        var weights = PlainTensors.Read(folder["base/model.safetensors"]);
        foreach (var (weight, values) in weights.Where(pair => pair.Key.EndsWith("_proj.weight", StringComparison.Ordinal)))
        {
            weights[weight] = values with { Values = [.. PlainNf4.Quantize(Array.ConvertAll(values.Values, value => (float)value), 64, nested: true).Dequantize(64)] };
        }

        PlainTensors.Write(folder["base/model.safetensors"], weights);
        AdapterKindTests.AssertMerged(PlainMerge.Of(folder["base"], folder["adapters"], kind.ScaleOf), folder["merged"], kind.StaysTied);
    }

    [Theory]
    [InlineData("pissa")]
    [InlineData("olora")]
    public void Adapters_that_take_a_part_from_the_weights_are_refused(string initial)
    {
        var kind = AdapterKind.All.First(kind => kind.Name == initial);
        kind.Write(folder["base"], folder["adapters"]);
        var fault = Assert.Throws<UserException>(() => StoredAdapters.Open(folder["adapters"], TinyCheckpoint.Config with { Quantization = Quantization.Nf4 }));
        Assert.Contains($"init_lora_weights {initial} takes a part from the base model's weights, which are in 4 bits", fault.Message);
    }

    [Fact]
    public void What_cannot_be_in_4_bits_is_refused()
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 1);
        Assert.Contains("weights in 4 bits (quantization: nf4) cannot be trained; method: lora", Fault(run => run with { Training = run.Training with { Method = TrainingMethod.Full } }));
        Assert.Contains(
            "modules_to_save: model.layers.0.self_attn.o_proj.weight is in 4 bits",
            Fault(run => run with { Lora = new() { LoraTargetModules = ["q_proj"], ModulesToSave = ["norm", "o_proj"] } }));
        Assert.Contains(
            "q_proj.weight of shape [24, 36] has no whole number of blocks of 64",
            Assert.Throws<UserException>(() => Nf4Weight.Source((_, shape) => zeros(shape))("model.layers.0.self_attn.q_proj.weight", [24, 36])).Message);

        string Fault(Func<RunConfig, RunConfig> change) => Assert.Throws<UserException>(() => Finetune("refused", 1, change: change)).Message;
    }

    private string Finetune(string name, int steps, Action<LlamaForCausalLM>? after = null, Func<RunConfig, RunConfig>? change = null)
    {
        var run = new RunConfig
        {
            Model = new() { Model = folder["model"], Rope = "linear:factor=2", Dtype = "fp32", Device = "cpu", Quantization = Quantization.Nf4 },
            Data = new() { Data = [folder["texts"]], CutoffLen = 64, CacheDir = folder["cache"] },
            Training = new() { OutputDir = folder[name], MaxSteps = steps, Method = TrainingMethod.Lora, LearningRate = 1e-2, WarmupSteps = 1 },
        };
        using var plan = FinetunePlan.Open(change?.Invoke(run) ?? run);
        var final = new FinetuneRun(plan, resume: "auto").Run().Folder;
        if (after is not null)
        {
            using var trained = plan.LoadModel(final);
            after(trained.Network);
        }

        return final;
    }

    private static float[] Nll(LlamaForCausalLM model)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var tokens = TinyModels.Tokens(model.Config, 1, 60).squeeze(0);
        using var plan = AttentionPlans.Create(model.Config.SetupFor(PositionMethods.Parse("linear:factor=2"), 60).Layers, TokenPositions.Sequential(60), model.Config, CPU);
        return [.. TokenLikelihood.OfDocument(model, model.Hidden(tokens.unsqueeze(0), plan).squeeze(0), tokens).data<float>()];
    }
}
