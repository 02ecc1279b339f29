using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using CutoffLen.Configuration;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs;
using CutoffLen.Training;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace CutoffLen.Tests.Models.Families;

/// <summary>Every family against transformers' formulas: logits, gradients, decoding, and what is saved after fine-tuning.</summary>
public sealed class FamilyTests
{
    private const int Length = 40; // beyond every window, and beyond the original length of LongRoPE

    public static TheoryData<string> Cases => new(FamilyCheckpoint.Cases.Keys);

    [Theory]
    [MemberData(nameof(Cases))]
    public void Logits_are_those_of_transformers_formulas(string name)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var family = FamilyCheckpoint.Make(name);
        using var checkpoint = HuggingFaceCheckpoint.Open(family.Folder);
        using var model = checkpoint.Load();
        foreach (var length in new[] { 12, Length })
        {
            var tokens = TinyModels.Tokens(checkpoint.Config, 2, length);
            var expected = family.Reference().Logits(tokens);
            foreach (var path in new[] { AttentionPath.Blocked, AttentionPath.Sdpa })
            {
                AssertNear(expected, Logits(model, tokens, path), 2e-5, $"logits of {length} tokens, {path}");
            }
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Gradients_of_a_step_are_those_of_transformers_formulas(string name)
    {
        using var scope = NewDisposeScope();
        using var family = FamilyCheckpoint.Make(name);
        using var checkpoint = HuggingFaceCheckpoint.Open(family.Folder);
        var leaves = family.Weights.ToDictionary(weight => weight.Key, weight => weight.Value.to(ScalarType.Float64).requires_grad_());
        var (tokens, targets) = (TinyModels.Tokens(checkpoint.Config, 2, Length), TinyModels.Tokens(checkpoint.Config, 2, Length, seed: 8));
        var expected = Gradients(new FamilyReference(family.Json, leaves), leaves, tokens, targets);
        foreach (var recompute in new[] { Recompute.None, Recompute.Layers })
        {
            using var model = TrainableModel.Full(checkpoint.Config, checkpoint.Weights(dtype: ScalarType.Float32), ScalarType.Float32, CPU);
            AssertGradients(expected, model, recompute, tokens, targets);
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Cached_decoding_is_one_full_forward(string name)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var family = FamilyCheckpoint.Make(name);
        using var checkpoint = HuggingFaceCheckpoint.Open(family.Folder);
        using var model = checkpoint.Load();
        var tokens = TinyModels.Tokens(checkpoint.Config, 1, 20);
        int[] ids = [.. tokens.data<long>().Select(id => (int)id)];
        using var decoder = new KvCacheDecoder(model, checkpoint.Config.SetupFor(PositionMethods.Auto, ids.Length).Layers, ids.Length);
        foreach (var length in new[] { 13, 14, 15, 16, 17, 20 })
        {
            var expected = family.Reference().Logits(tokens.narrow(1, 0, length))[0, length - 1];
            AssertNear(expected, model.Logits(decoder.Hidden(ids.AsSpan(0, length)))[0], 2e-5, $"logits after {length} tokens");
        }
    }

    [Fact]
    public void Adapters_of_fused_projections_have_the_gradients_of_their_product()
    {
        using var scope = NewDisposeScope();
        using var family = FamilyCheckpoint.Make("phi4-mini");
        using var checkpoint = HuggingFaceCheckpoint.Open(family.Folder);
        var lora = new AdapterConfig(3, 6, 0, ModuleSelection.Named("qkv_proj", "gate_up_proj", "o_proj"), [], false);
        using var model = TrainableModel.Lora(checkpoint.Config, checkpoint.Weights(dtype: ScalarType.Float32), ScalarType.Float32, CPU, lora, seed: 5);
        var leaves = new Dictionary<string, Tensor>();
        var generator = new Generator(4);
        foreach (var adapter in model.Parameters.Names)
        {
            var view = model.Parameters.View(adapter);
            view.copy_(randn(view.shape, generator: generator) * 0.2);
            leaves.Add(adapter, view.to(ScalarType.Float64).requires_grad_());
        }

        var adapted = family.Weights.ToDictionary(weight => weight.Key, weight => weight.Value.to(ScalarType.Float64));
        foreach (var module in leaves.Keys.Where(adapter => adapter.Contains("lora_A", StringComparison.Ordinal)).Select(adapter => adapter[..^".lora_A.weight".Length]))
        {
            adapted[module + ".weight"] += leaves[module + ".lora_B.weight"].matmul(leaves[module + ".lora_A.weight"]) * (6.0 / 3);
        }

        Assert.Equal(2 * 3 * 3, leaves.Count);
        var (tokens, targets) = (TinyModels.Tokens(checkpoint.Config, 2, Length), TinyModels.Tokens(checkpoint.Config, 2, Length, seed: 8));
        AssertGradients(Gradients(new FamilyReference(family.Json, adapted), leaves, tokens, targets), model, Recompute.Layers, tokens, targets);
    }

    /// <summary>Two steps, saved under the family's own names and keys: by its saved config.json the reference computes the same.</summary>
    [Theory]
    [InlineData("qwen3-window")]
    [InlineData("mistral-window")]
    [InlineData("phi4-mini")]
    [InlineData("olmo2")]
    public void A_fine_tuned_model_is_saved_as_its_family(string name)
    {
        using var scope = NewDisposeScope();
        using var family = FamilyCheckpoint.MakeWithTexts(name);
        using var plan = FinetunePlan.Open(Run(family, TrainingMethod.Full));
        var saved = new FinetuneRun(plan).Run().Folder;

        using var noGrad = no_grad();
        using var checkpoint = HuggingFaceCheckpoint.Open(saved);
        Assert.Equal(family.Weights.Keys.Order(), checkpoint.Tensors.Keys.Order());
        string[] ours = ["architectures", "bos_token_id", "eos_token_id", "head_dim", "layer_types", "max_window_layers", "partial_rotary_factor", "rope_scaling", "transformers_version"];
        foreach (var (key, value) in family.Json.Where(pair => !ours.Contains(pair.Key) && checkpoint.ConfigJson.ContainsKey(pair.Key)))
        {
            Assert.True(JsonNode.DeepEquals(value, checkpoint.ConfigJson[key]) || value?.ToJsonString() == "1E-05", $"{key}: {value?.ToJsonString()}, saved {checkpoint.ConfigJson[key]?.ToJsonString()}");
        }

        using var model = checkpoint.Load();
        var tokens = TinyModels.Tokens(checkpoint.Config, 2, Length);
        var logits = Logits(model, tokens, AttentionPath.Blocked);
        AssertNear(FamilyCheckpoint.ReferenceOf(saved).Logits(tokens), logits, 2e-5, "logits of the saved model");
        Assert.True((logits - family.Reference().Logits(tokens)).abs().max().item<double>() > 1e-3, "training changed nothing");
    }

    [Fact]
    public void Adapters_of_fused_projections_are_merged()
    {
        using var scope = NewDisposeScope();
        using var family = FamilyCheckpoint.MakeWithTexts("phi4-mini");
        using var plan = FinetunePlan.Open(Run(family, TrainingMethod.Lora));
        var report = MergeRun.Run(new FinetuneRun(plan).Run().Folder, family["merged"]);
        Assert.Equal(report.PerplexityBefore, report.PerplexityAfter, report.PerplexityBefore * 1e-4);
        using var merged = HuggingFaceCheckpoint.Open(family["merged"]);
        Assert.Equal(family.Weights.Keys.Order(), merged.Tensors.Keys.Order());
    }

    /// <summary>As Hugging Face counts them for Qwen3-0.6B, Phi-4-mini and OLMo-2-0425-1B.</summary>
    [Theory]
    [InlineData("qwen3", 151_936, 1024, 3072, 28, 16, 8, 128, true, 596_049_920)]
    [InlineData("phi3", 200_064, 3072, 8192, 32, 24, 8, 128, true, 3_836_021_760)]
    [InlineData("olmo2", 100_352, 2048, 8192, 16, 16, 16, 128, false, 1_484_916_736)]
    public void Parameters_are_as_many_as_published(string type, int vocabulary, int hidden, int inner, int layers, int heads, int keyHeads, int headDim, bool isTied, long count) =>
        Assert.Equal(count, LlamaParameters.Count(new LlamaConfig
        {
            ModelType = type,
            VocabSize = vocabulary,
            HiddenSize = hidden,
            IntermediateSize = inner,
            NumHiddenLayers = layers,
            NumAttentionHeads = heads,
            NumKeyValueHeads = keyHeads,
            HeadDim = headDim,
            MaxPositionEmbeddings = 4096,
            TieWordEmbeddings = isTied,
        }));

    private static RunConfig Run(FamilyCheckpoint family, TrainingMethod method) => new()
    {
        Model = new() { Model = family.Folder, Dtype = "fp32", Device = "cpu", Threads = 1 },
        Data = new() { Data = [family["texts"]], CutoffLen = 48, CacheDir = family["cache"] },
        Training = new() { OutputDir = family["run"], MaxSteps = 2, Method = method, LearningRate = 1e-2, WarmupSteps = 0 },
        Lora = new() { LoraTargetModules = ["qkv_proj", "gate_up_proj"], ModulesToSave = ["embed_tokens", "norm"] },
    };

    private static Tensor Logits(LlamaForCausalLM model, Tensor tokens, AttentionPath path)
    {
        var length = (int)tokens.shape[1];
        using var plans = AttentionPlans.Create(model.Config.SetupFor(PositionMethods.Auto, length).Layers, TokenPositions.Sequential(length), model.Config, CPU, path);
        return model.Logits(model.Hidden(tokens, plans));
    }

    private static Dictionary<string, Tensor> Gradients(FamilyReference reference, Dictionary<string, Tensor> leaves, Tensor tokens, Tensor targets)
    {
        var loss = cross_entropy(reference.Logits(tokens).flatten(0, 1), targets.flatten());
        return leaves.Keys.Zip(autograd.grad([loss], [.. leaves.Values])).ToDictionary(pair => pair.First, pair => pair.Second);
    }

    private static void AssertGradients(Dictionary<string, Tensor> expected, TrainableModel model, Recompute recompute, Tensor tokens, Tensor targets)
    {
        var config = model.Network.Config;
        using var plans = AttentionPlans.Create(config.SetupFor(PositionMethods.Auto, Length).Layers, TokenPositions.Sequential(Length), config, CPU, AttentionPath.Sdpa);
        using var loss = model.Backprop(recompute).Run(tokens, targets, plans, 1.0 / targets.numel());
        Assert.Equal(expected.Keys.Order(), model.Parameters.Names.Order());
        foreach (var (name, gradient) in expected)
        {
            AssertNear(gradient, model.Parameters.GradientView(name), 5e-5, $"the gradient of {name}, {recompute}");
        }
    }

    private static void AssertNear(Tensor expected, Tensor actual, double tolerance, string what)
    {
        var away = (expected - actual).abs().max().item<double>() / expected.abs().max().item<double>();
        Assert.True(away < tolerance, $"{what} are {away} away, relative to the largest");
    }
}
