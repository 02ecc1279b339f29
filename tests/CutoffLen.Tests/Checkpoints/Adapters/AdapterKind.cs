using System.Text.Json.Nodes;
using CutoffLen.Models.Llama;

namespace CutoffLen.Tests.Checkpoints.Adapters;

/// <summary>
/// Adapters of one kind on a base model of <see cref="TinyCheckpoint"/>'s shape: settings, and by hand what PEFT makes of them.
/// </summary>
/// <param name="Name">What it shows.</param>
/// <param name="Settings">Keys of adapter_config.json beside r = 2 and lora_alpha = 6.</param>
/// <param name="Modules">The modules with adapters.</param>
internal sealed record AdapterKind(string Name, string Settings, params string[] Modules)
{
    private const string Embedding = "model.embed_tokens";
    private const string Head = "lm_head";

    private static string[] Linear { get; } =
        [.. Of("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")];

    /// <summary>Rank and scale of the modules that have others than 2 and 3.</summary>
    public IReadOnlyDictionary<string, (int R, double Scale)> Others { get; init; } = new Dictionary<string, (int, double)>();

    /// <summary>Parameters in the file whole, under their names there.</summary>
    public IReadOnlyList<string> Whole { get; init; } = [];

    /// <summary>Whether the base model ties embedding and head.</summary>
    public bool IsTied { get; init; }

    /// <summary>Whether they are tied after merging.</summary>
    public bool StaysTied { get; init; }

    /// <summary>Whether q, k and v have biases.</summary>
    public bool HasBiases { get; init; }

    public override string ToString() => Name;

    /// <summary>All kinds that are supported.</summary>
    public static IReadOnlyList<AdapterKind> All { get; } =
    [
        new("the default targets", "{}", Of("self_attn.q_proj", "self_attn.v_proj")),
        new("suffixes", """{"target_modules": ["self_attn.q_proj", "down_proj", "c_attn"]}""", Of("self_attn.q_proj", "mlp.down_proj")),
        new("a regular expression", """{"target_modules": ".*layers\\.1\\.(?P<part>self_attn\\.(q|v)_proj|mlp.up_proj)"}""",
            "model.layers.1.self_attn.q_proj", "model.layers.1.self_attn.v_proj", "model.layers.1.mlp.up_proj"),
        new("all-linear", """{"target_modules": "all-linear"}""", Linear),
        new("exclude_modules by suffix", """{"target_modules": "all-linear", "exclude_modules": ["self_attn.k_proj", "down_proj"]}""",
            [.. Linear.Where(name => !name.Contains("k_proj") && !name.Contains("down_proj"))]),
        new("exclude_modules by regular expression", """{"target_modules": ["q_proj", "lm_head"], "exclude_modules": ".*0.*"}""",
            "model.layers.1.self_attn.q_proj", "lm_head"),
        new("one layer", """{"target_modules": ["q_proj", "lm_head"], "layers_to_transform": 1}""", "model.layers.1.self_attn.q_proj"),
        new("layers by pattern, and a module that is named whole", """{"target_modules": ["q_proj", "model.layers.1.mlp.up_proj"], "layers_to_transform": [0], "layers_pattern": ["h", "layers"]}""",
            "model.layers.0.self_attn.q_proj", "model.layers.1.mlp.up_proj"),
        new("rank_pattern and alpha_pattern", """
            {"target_modules": ["q_proj", "k_proj"], "rank_pattern": {"k_proj": 3, "^model.layers.0.self_attn.q_proj": 1, "self_attn.q_proj": 4},
             "alpha_pattern": {"0.self_attn.q_proj": 32, "proj": 5}}
            """, Of("self_attn.q_proj", "self_attn.k_proj"))
        {
            Others = new Dictionary<string, (int, double)>
            {
                ["model.layers.0.self_attn.q_proj"] = (1, 32), ["model.layers.1.self_attn.q_proj"] = (4, 1.5),
                ["model.layers.0.self_attn.k_proj"] = (3, 2), ["model.layers.1.self_attn.k_proj"] = (3, 2),
            },
        },
        new("use_rslora with patterns", """{"target_modules": ["o_proj"], "use_rslora": true, "rank_pattern": {"layers.1.self_attn.o_proj": 4}}""", Of("self_attn.o_proj"))
        {
            Others = new Dictionary<string, (int, double)>
            {
                ["model.layers.0.self_attn.o_proj"] = (2, 6 / Math.Sqrt(2)), ["model.layers.1.self_attn.o_proj"] = (4, 3),
            },
        },
        new("modules_to_save: norm is the end of every norm's name", """{"target_modules": ["q_proj"], "modules_to_save": ["norm"]}""", Of("self_attn.q_proj"))
        {
            Whole = ["model.norm.weight", .. Of("input_layernorm.weight", "post_attention_layernorm.weight")],
        },
        new("modules_to_save: embedding and head", """{"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}""", Of("self_attn.q_proj"))
        {
            Whole = [Embedding + ".weight", Head + ".weight"],
        },
        new("modules_to_save: a whole MLP, which gets no adapters", """{"target_modules": ["q_proj", "up_proj"], "modules_to_save": ["1.mlp"]}""",
            [.. Of("self_attn.q_proj"), "model.layers.0.mlp.up_proj"])
        {
            Whole = ["model.layers.1.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight", "model.layers.1.mlp.down_proj.weight"],
        },
        new("embedding and head", """{"target_modules": ["q_proj", "embed_tokens", "lm_head"]}""", [.. Of("self_attn.q_proj"), Embedding, Head]),
        new("tied, neither touched", """{"target_modules": ["q_proj"]}""", Of("self_attn.q_proj")) { IsTied = true, StaysTied = true },
        new("tied, the embedding saved", """{"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"]}""", Of("self_attn.q_proj"))
        {
            IsTied = true, Whole = [Embedding + ".weight"],
        },
        new("tied, the head saved", """{"target_modules": ["q_proj"], "modules_to_save": ["lm_head"]}""", Of("self_attn.q_proj"))
        {
            IsTied = true, Whole = [Head + ".weight"],
        },
        new("tied, both saved apart", """{"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens", "lm_head"]}""", Of("self_attn.q_proj"))
        {
            IsTied = true, Whole = [Embedding + ".weight", Head + ".weight"],
        },
        new("tied, all but the head saved", """{"target_modules": ["lm_head", "q_proj"], "modules_to_save": ["model"]}""", Head)
        {
            IsTied = true,
            Whole =
            [
                Embedding + ".weight", "model.norm.weight", .. Of("input_layernorm.weight", "post_attention_layernorm.weight"),
                .. Linear.Select(module => module + ".weight"),
            ],
        },
        new("tied, saved and kept tied", """{"target_modules": ["q_proj"], "modules_to_save": ["lm_head"], "ensure_weight_tying": true}""", Of("self_attn.q_proj"))
        {
            IsTied = true, StaysTied = true, Whole = [Embedding + ".weight", Head + ".weight"],
        },
        new("tied, an adapter on the embedding", """{"target_modules": ["embed_tokens"]}""", Embedding) { IsTied = true },
        new("tied, an adapter on the head", """{"target_modules": ["lm_head", "v_proj"]}""", [.. Of("self_attn.v_proj"), Head]) { IsTied = true },
        new("tied, adapters on both", """{"target_modules": ["lm_head", "embed_tokens"]}""", Embedding, Head) { IsTied = true },
        new("tied, an adapter kept tied", """{"target_modules": ["lm_head", "q_proj"], "ensure_weight_tying": true}""", [.. Of("self_attn.q_proj"), Embedding, Head])
        {
            IsTied = true, StaysTied = true,
        },
        new("tied, an adapter kept tied by a regular expression", """{"target_modules": "(.*\\.)?embed_tokens", "ensure_weight_tying": true}""", Embedding, Head)
        {
            IsTied = true, StaysTied = true,
        },
        new("an untied base that is told to stay tied", """{"target_modules": ["q_proj"], "modules_to_save": ["embed_tokens"], "ensure_weight_tying": true}""", Of("self_attn.q_proj"))
        {
            Whole = [Embedding + ".weight"],
        },
        new("save_embedding_layers on a tied base", """{"target_modules": ["embed_tokens"]}""", Embedding)
        {
            IsTied = true, Whole = ["model.embed_tokens.base_layer.weight"],
        },
        new("a resized embedding and head", """{"target_modules": ["q_proj"]}""", Of("self_attn.q_proj")) { Whole = [Embedding + ".weight", Head + ".weight"] },
        new("use_dora", """{"target_modules": "all-linear", "use_dora": true}""", Linear),
        new("use_dora on embedding and head", """{"target_modules": ["embed_tokens", "lm_head"], "use_dora": true, "use_rslora": true}""", Embedding, Head)
        {
            Others = new Dictionary<string, (int, double)> { [Embedding] = (2, 6 / Math.Sqrt(2)), [Head] = (2, 6 / Math.Sqrt(2)) },
        },
        new("use_dora beside biases", """{"target_modules": ["q_proj", "o_proj"], "use_dora": true}""", Of("self_attn.q_proj", "self_attn.o_proj")) { HasBiases = true },
        new("pissa", """{"target_modules": ["k_proj", "down_proj", "lm_head", "embed_tokens"], "init_lora_weights": "pissa"}""",
            [.. Of("self_attn.k_proj", "mlp.down_proj"), Embedding, Head]),
        new("pissa with use_dora", """{"target_modules": ["q_proj"], "init_lora_weights": "pissa", "use_dora": true}""", Of("self_attn.q_proj")),
        new("olora", """{"target_modules": ["k_proj", "down_proj"], "init_lora_weights": "olora"}""", Of("self_attn.k_proj", "mlp.down_proj")),
        new("lora_bias", """{"target_modules": ["q_proj", "v_proj"], "lora_bias": true}""", Of("self_attn.q_proj", "self_attn.v_proj")) { HasBiases = true },
        new("bias: all", """{"target_modules": ["q_proj"], "bias": "all"}""", Of("self_attn.q_proj"))
        {
            HasBiases = true, Whole = [.. Of("self_attn.q_proj.base_layer.bias", "self_attn.k_proj.bias", "self_attn.v_proj.bias")],
        },
        new("all-linear with the adapters of q_proj alone", """{"target_modules": "all-linear", "init_lora_weights": "gaussian"}""", Of("self_attn.q_proj")),
        new("keys that change nothing", """
            {"target_modules": ["q_proj"], "fan_in_fan_out": true, "peft_version": "0.20.0", "revision": "main", "runtime_config": {"ephemeral_gpu_offload": true},
             "auto_mapping": {"base_model_class": "LlamaForCausalLM"}, "megatron_core": "megatron.core", "megatron_config": null, "loftq_config": {"loftq_bits": 4},
             "eva_config": {"rho": 2.0}, "corda_config": null, "qalora_group_size": 16, "use_qalora": false, "layer_replication": null, "trainable_token_indices": null,
             "alora_invocation_tokens": null, "arrow_config": null, "target_parameters": [], "lora_dropout": 0.1, "inference_mode": true, "a_key_to_come": {}}
            """, Of("self_attn.q_proj")),
    ];

    /// <summary>The base model.</summary>
    public LlamaConfig Base => TinyCheckpoint.Config with
    {
        TieWordEmbeddings = IsTied, ModelType = HasBiases ? "qwen2" : "llama", QkvBias = HasBiases,
    };

    /// <summary>The scale of a module.</summary>
    public double ScaleOf(string module) => Others.TryGetValue(module, out var other) ? other.Scale : 3;

    /// <summary>Writes base model and adapters with random values.</summary>
    public void Write(string baseModel, string adapters)
    {
        TinyCheckpoint.Save(baseModel, Base, seed: 3);
        Directory.CreateDirectory(adapters);
        var settings = JsonNode.Parse(Settings)!.AsObject();
        (settings["peft_type"], settings["task_type"], settings["r"], settings["lora_alpha"]) = ("LORA", "CAUSAL_LM", 2, 6);
        settings["base_model_name_or_path"] = baseModel;
        File.WriteAllText(Path.Combine(adapters, "adapter_config.json"), settings.ToJsonString());
        PlainTensors.Write(
            Path.Combine(adapters, "adapter_model.safetensors"), Tensors(settings).ToDictionary(tensor => "base_model.model." + tensor.Name, tensor => tensor.Tensor));
    }

    private static string[] Of(params string[] names) => [.. Enumerable.Range(0, 2).SelectMany(layer => names.Select(name => $"model.layers.{layer}.{name}"))];

    private List<(string Name, PlainTensor Tensor)> Tensors(JsonObject settings)
    {
        var (random, made) = (new Random(5), new List<(string Name, PlainTensor Tensor)>());
        foreach (var module in Modules)
        {
            var ((outputs, inputs), rank) = (ShapeOf(module), Others.TryGetValue(module, out var other) ? other.R : 2);
            if (module == Head && StaysTied)
            {
                made.Add((Head + ".lora_A.weight", made.Single(tensor => tensor.Name.Contains("embedding_B")).Tensor.Transposed()));
                made.Add((Head + ".lora_B.weight", made.Single(tensor => tensor.Name.Contains("embedding_A")).Tensor.Transposed()));
                continue;
            }

            made.Add((module + (module == Embedding ? ".lora_embedding_A" : ".lora_A.weight"), PlainTensor.Random(random, rank, inputs)));
            made.Add((module + (module == Embedding ? ".lora_embedding_B" : ".lora_B.weight"), PlainTensor.Random(random, outputs, rank)));
            if (settings["use_dora"] is not null)
            {
                made.Add((module + ".lora_magnitude_vector", new PlainTensor([outputs], [.. PlainTensor.Random(random, outputs).Values.Select(value => 2 + value)])));
            }

            if (settings["lora_bias"] is not null)
            {
                made.Add((module + ".lora_B.bias", PlainTensor.Random(random, outputs)));
            }
        }

        foreach (var name in Whole)
        {
            var (outputs, inputs) = ShapeOf(name.Replace(".base_layer", "")[..^(name.Contains("bias") ? ".bias" : ".weight").Length]);
            made.Add((name, name == Head + ".weight" && StaysTied ? made.Single(tensor => tensor.Name == Embedding + ".weight").Tensor
                : name.Contains("bias") || name.Contains("norm") ? PlainTensor.Random(random, outputs)
                : name.Contains("embed_tokens") ? PlainTensor.Random(random, inputs, outputs) : PlainTensor.Random(random, outputs, inputs)));
        }

        return made;
    }

    /// <summary>Outputs and inputs; the embedding has an input a token.</summary>
    private static (int Outputs, int Inputs) ShapeOf(string module) => module[(module.LastIndexOf('.') + 1)..] switch
    {
        "embed_tokens" => (16, 40),
        "lm_head" => (40, 16),
        "k_proj" or "v_proj" => (8, 16),
        "gate_proj" or "up_proj" => (24, 16),
        "down_proj" => (16, 24),
        _ => (16, 16),
    };
}
