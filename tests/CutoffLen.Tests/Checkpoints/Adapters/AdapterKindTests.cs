using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Hardware;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Runs;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints.Adapters;

/// <summary>Adapters as PEFT reads them, or refused.</summary>
public sealed class AdapterKindTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Kinds { get; } = [.. AdapterKind.All.Select(kind => kind.Name)];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Is_merged_as_plain_arithmetic_merges_and_scores_alike_beside_and_merged(string name)
    {
        var kind = AdapterKind.All.Single(kind => kind.Name == name);
        kind.Write(folder["base"], folder["adapters"]);

        var report = Merge("adapters", "merged");

        Assert.Equal(report.NllBefore, report.NllAfter, 1e-5);
        Assert.Equal(255, report.Tokens); // there is no tokenizer
        var expected = PlainMerge.Of(folder["base"], folder["adapters"], kind.ScaleOf);
        AssertMerged(expected, folder["merged"], kind.StaysTied);
        var untouched = PlainTensors.Read(folder["base/model.safetensors"]);
        Assert.Contains(untouched, tensor => Difference(tensor.Value, expected[tensor.Key]) > 0.1);

        // What score, eval-ppl and generate load of the adapters' own folder.
        var (adapted, merged, plain) = (Nll("adapters"), Nll("merged"), Nll("base"));
        Assert.All(adapted.Zip(merged), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
        Assert.Contains(adapted.Zip(plain), pair => Math.Abs(pair.First - pair.Second) > 1e-3);
    }

    [Theory]
    [InlineData("use_dora")]
    [InlineData("use_dora on embedding and head")]
    [InlineData("lora_bias")]
    [InlineData("pissa")]
    public void Is_merged_in_bfloat16_as_well_as_that_can_be(string name)
    {
        var kind = AdapterKind.All.Single(kind => kind.Name == name);
        kind.Write(folder["base"], folder["adapters"]);
        using var scope = NewDisposeScope();
        using var checkpoint = HuggingFaceCheckpoint.Open(folder["base"]);
        using var stored = StoredAdapters.Open(folder["adapters"], checkpoint.Config);
        using var beside = stored.LoadBeside(checkpoint.Weights(CPU, ScalarType.BFloat16));
        using var merged = stored.LoadMerged(checkpoint.Weights(CPU, ScalarType.BFloat16));
        using var plain = checkpoint.Load(CPU, ScalarType.BFloat16);
        var (expected, near, far) = (Nll(beside), Nll(merged), Nll(plain));
        Assert.InRange(Away(near), 0, 0.2 * Away(far));
        double Away(float[] nll) => nll.Zip(expected, (a, b) => Math.Abs(a - b)).Average();
    }

    [Theory]
    [InlineData("""{"peft_type": "IA3"}""", "peft_type is 'IA3'; supported is LORA")]
    [InlineData("""{"peft_type": null}""", "peft_type is missing")]
    [InlineData("""{"task_type": "SEQ_CLS"}""", "task_type is 'SEQ_CLS'; supported is CAUSAL_LM")]
    [InlineData("""{"bias": "some"}""", "bias is 'some'; supported is none, all, lora_only")]
    [InlineData("""{"r": 0}""", "\"r\" is 0")]
    [InlineData("""{"lora_alpha": "big"}""", "\"lora_alpha\" is 'big'")]
    [InlineData("""{"lora_alpha": 1e308}""", "\"lora_alpha\" is")]
    [InlineData("""{"alpha_pattern": {"q_proj": 1e308}}""", "alpha_pattern")]
    [InlineData("""{"init_lora_weights": "pissa_niter_4"}""", "randomly drawn approximation of the principal part")]
    [InlineData("""{"init_lora_weights": "corda"}""", "path_initial_model_for_weight_conversion")]
    [InlineData("""{"init_lora_weights": "lora_ga"}""", "depends on gradients")]
    [InlineData("""{"init_lora_weights": "loftq"}""", "PEFT quantizes the base")]
    [InlineData("""{"init_lora_weights": "mystery"}""", "\"init_lora_weights\" is 'mystery'; allowed is true, false, gaussian")]
    [InlineData("""{"alora_invocation_tokens": [1, 2]}""", "alora_invocation_tokens means activated LoRA")]
    [InlineData("""{"trainable_token_indices": [7]}""", "trainable_token_indices means single trained rows of the embedding")]
    [InlineData("""{"target_parameters": ["experts.up"]}""", "target_parameters means adapters on bare parameters")]
    [InlineData("""{"layer_replication": [[0, 2], [1, 2]]}""", "layer_replication means a network of repeated layers")]
    [InlineData("""{"use_qalora": true}""", "use_qalora means")]
    [InlineData("""{"use_bdlora": {"nblocks": 2}}""", "use_bdlora means block-diagonal adapters")]
    [InlineData("""{"arrow_config": {"top_k": 3}}""", "arrow_config means routing")]
    [InlineData("""{"monteclora_config": {"num_samples": 8}}""", "monteclora_config means")]
    [InlineData("""{"kasa_config": {"beta": 0.1}}""", "kasa_config means KaSA")]
    [InlineData("""{"velora_config": {"scale": 1.0}}""", "velora_config means VeLoRA")]
    [InlineData("""{"megatron_config": {"tp": 2}}""", "megatron_config means")]
    [InlineData("""{"a_key_to_come": 3}""", "'a_key_to_come' is unknown")]
    [InlineData("""{"target_modules": ["c_attn"]}""", "no module of this model gets an adapter from c_attn")]
    [InlineData("""{"target_modules": "q_proj"}""", "no module of this model gets an adapter from q_proj")]
    [InlineData("""{"target_modules": [""]}""", "target_modules holds an empty name")]
    [InlineData("""{"target_modules": 3}""", "\"target_modules\" is 3; allowed is a list of texts")]
    [InlineData("""{"target_modules": "(q_proj"}""", "target_modules: '(q_proj' is not a regular expression")]
    [InlineData("""{"target_modules": "(([a-z_.0-9]+)+)+!"}""", "takes too long to match")]
    [InlineData("""{"target_modules": ["mlp"]}""", "model.layers.0.mlp is neither a linear layer nor the embedding")]
    [InlineData("""{"target_modules": ["norm"]}""", "model.norm is neither")]
    [InlineData("""{"target_modules": ".*q_proj", "layers_to_transform": [0]}""", "go with a list of target_modules")]
    [InlineData("""{"layers_pattern": "layers"}""", "layers_pattern needs layers_to_transform")]
    [InlineData("""{"layers_to_transform": [0.5]}""", "a layer's index or a list of them")]
    [InlineData("""{"layers_to_transform": [2]}""", "no module of this model gets an adapter")]
    [InlineData("""{"rank_pattern": {"q_proj": 0}}""", "\"rank_pattern\" is an object; allowed is an object of names and whole numbers above 0")]
    [InlineData("""{"rank_pattern": {"q_proj": 3}}""", "of shape [3, 16]")]
    [InlineData("""{"modules_to_save": ["self_attn", "o_proj"]}""", "modules_to_save: model.layers.0.self_attn.o_proj lies in another module")]
    [InlineData("""{"modules_to_save": ["proj"]}""", "modules_to_save: model.layers.0.self_attn.q_proj is saved whole and gets an adapter")]
    [InlineData("""{"modules_to_save": ["lm_head"]}""", "has no 'base_model.model.lm_head.weight' of shape [40, 16]")]
    [InlineData("""{"lora_bias": true}""", "lora_bias: model.layers.0.self_attn.q_proj has no bias in the base model")]
    [InlineData("""{"lora_bias": true, "init_lora_weights": "pissa"}""", "lora_bias goes neither with use_dora")]
    [InlineData("""{"use_dora": true}""", "has no 'base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector' of shape [16]")]
    [InlineData("""{"target_modules": ["q_proj", "k_proj"], "init_lora_weights": false}""", "has no 'base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight'")]
    public void Is_refused_by_name(string settings, string expected)
    {
        new AdapterKind("q_proj", """{"target_modules": ["q_proj"]}""", "model.layers.0.self_attn.q_proj", "model.layers.1.self_attn.q_proj").Write(folder["base"], folder["adapters"]);
        Edit(settings);
        var fault = Assert.Throws<UserException>(() => ModelFolder.Open(folder["adapters"]));
        Assert.Contains(expected, fault.Message);
        Assert.Contains(folder["adapters"], fault.Message);
        Assert.Contains(expected, Assert.Throws<UserException>(() => Merge("adapters", "merged")).Message);
        Assert.False(Directory.Exists(folder["merged"]));
    }

    [Theory]
    [InlineData("""{"target_modules": ["lm_head"], "ensure_weight_tying": true, "use_dora": true}""", "ensure_weight_tying goes neither with use_dora")]
    [InlineData("""{"target_modules": ["lm_head"], "ensure_weight_tying": true, "exclude_modules": ["embed_tokens"]}""", "no module of this model gets an adapter")]
    [InlineData("""{"target_modules": ["lm_head"], "ensure_weight_tying": true, "alpha_pattern": {"lm_head": 1}}""", "alpha_pattern give lm_head another rank or scale")]
    [InlineData("""{"target_modules": ["lm_head"], "ensure_weight_tying": true, "modules_to_save": ["embed_tokens"]}""", "lm_head is tied to the embedding, which is in modules_to_save")]
    public void What_cannot_stay_tied_is_said(string settings, string expected)
    {
        AdapterKind.All.Single(kind => kind.Name == "tied, an adapter on the embedding").Write(folder["base"], folder["adapters"]);
        Edit(settings);
        Assert.Contains(expected, Assert.Throws<UserException>(() => ModelFolder.Open(folder["adapters"])).Message);
    }

    [Theory]
    [InlineData("tied, an adapter kept tied", "lm_head.lora_A.weight differs from model.embed_tokens.lora_embedding_B")]
    [InlineData("tied, saved and kept tied", "lm_head.weight differs from model.embed_tokens.weight")]
    public void A_tied_head_that_is_stored_otherwise_is_refused(string name, string expected)
    {
        AdapterKind.All.Single(kind => kind.Name == name).Write(folder["base"], folder["adapters"]);
        var tensors = PlainTensors.Read(folder["adapters/adapter_model.safetensors"]);
        tensors.First(tensor => tensor.Key.Contains("lm_head")).Value.Values[3] += 1;
        PlainTensors.Write(folder["adapters/adapter_model.safetensors"], tensors);
        Assert.Contains(expected, Assert.Throws<UserException>(() => Merge("adapters", "merged")).Message);
    }

    [Theory]
    [InlineData("model.layers.0.self_attn.q_proj.lora_C.weight")]
    [InlineData("model.layers.0.self_attn.q_proj.weight")] // PEFT has it as base_layer.weight, and drops this one
    [InlineData("model.layers.2.self_attn.q_proj.lora_A.weight")]
    [InlineData("lm_head.bias")]
    public void A_tensor_that_PEFT_would_drop_is_refused(string name)
    {
        AdapterKind.All[1].Write(folder["base"], folder["adapters"]);
        var tensors = PlainTensors.Read(folder["adapters/adapter_model.safetensors"]);
        tensors.Add("base_model.model." + name, PlainTensor.Zeros(16, 16));
        PlainTensors.Write(folder["adapters/adapter_model.safetensors"], tensors);
        Assert.Contains($"the model has no place for 'base_model.model.{name}' of shape [16, 16]", Assert.Throws<UserException>(() => ModelFolder.Open(folder["adapters"])).Message);
    }

    [Fact]
    public void Pickled_adapters_get_the_advice_that_pickled_models_get()
    {
        AdapterKind.All[1].Write(folder["base"], folder["adapters"]);
        File.Move(folder["adapters/adapter_model.safetensors"], folder["adapters/adapter_model.bin"]);
        var fault = Assert.Throws<UserException>(() => ModelFolder.Open(folder["adapters"])).Message;
        Assert.Contains("has no adapter_model.safetensors. It holds pickled weights (adapter_model.bin), which can run code when opened", fault);
        Assert.Contains("save_file", fault);
    }

    public void Dispose() => folder.Dispose();

    private MergeReport Merge(string adapters, string merged) => MergeRun.Run(
        folder[adapters], folder[merged], folder["base"], compute: () => DeviceAndDtype.Choose("cpu", "fp32"));

    private void Edit(string settings)
    {
        var path = folder["adapters/adapter_config.json"];
        var json = JsonNode.Parse(File.ReadAllText(path))!.AsObject();
        foreach (var (key, value) in JsonNode.Parse(settings)!.AsObject())
        {
            json[key] = value?.DeepClone();
        }

        File.WriteAllText(path, json.ToJsonString());
    }

    private float[] Nll(string name)
    {
        using var scope = NewDisposeScope();
        using var opened = ModelFolder.Open(folder[name]);
        using var model = opened.Load(CPU, ScalarType.Float32);
        return Nll(model);
    }

    private static float[] Nll(LlamaForCausalLM model)
    {
        using var scope = NewDisposeScope();
        var tokens = tensor(Enumerable.Range(0, 40).Select(n => (n * 17L) % 40).ToArray());
        using var plan = AttentionPlan.Create(new RopeMethod(model.Config.Positions), TokenPositions.Sequential(40), model.Config, CPU);
        return TokenLikelihood.OfDocument(model, model.Hidden(tokens.unsqueeze(0), plan).squeeze(0), tokens).data<float>().ToArray();
    }

    /// <summary>Compares every weight of a merged folder, its head too where it is tied.</summary>
    internal static void AssertMerged(Dictionary<string, PlainTensor> expected, string merged, bool isTied)
    {
        var weights = PlainTensors.Read(Path.Combine(merged, "model.safetensors"));
        Assert.Equal(isTied, !weights.ContainsKey("lm_head.weight"));
        Assert.Equal(isTied, (bool)JsonNode.Parse(File.ReadAllText(Path.Combine(merged, "config.json")))!["tie_word_embeddings"]!);
        weights.TryAdd("lm_head.weight", weights["model.embed_tokens.weight"]);
        Assert.Equal(expected.Keys.Order(), weights.Keys.Order());
        Assert.All(expected, pair => Assert.True(
            Difference(pair.Value, weights[pair.Key]) < 2e-5, $"{pair.Key} is {Difference(pair.Value, weights[pair.Key])} away"));
    }

    private static double Difference(PlainTensor one, PlainTensor other) => one.Values.Zip(other.Values, (a, b) => Math.Abs(a - b)).Max();
}
