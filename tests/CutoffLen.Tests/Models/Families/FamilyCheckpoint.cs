using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Tokenization;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Models.Families;

/// <summary>A tiny checkpoint of a family with random weights, as transformers names and shapes them, and its reference.</summary>
internal sealed class FamilyCheckpoint : IDisposable
{
    private readonly TemporaryFolder folder = new();

    private FamilyCheckpoint(JsonObject config)
    {
        Json = config;
        var generator = new Generator(1);
        Weights = FamilyReference.Parameters(config).ToDictionary(
            parameter => parameter.Name,
            // Large enough that attention is far from uniform.
            parameter => parameter.Name.EndsWith("norm.weight", StringComparison.Ordinal) ? rand(parameter.Shape, generator: generator) + 0.5 : randn(parameter.Shape, generator: generator) * 0.3);
        folder.Write("model/config.json", config.ToJsonString());
        folder.Write("model/model.safetensors", Safetensors());
    }

    /// <summary>What each case's config.json has beside the common keys.</summary>
    public static IReadOnlyDictionary<string, string> Cases { get; } = new Dictionary<string, string>
    {
        ["qwen3"] = """
            "model_type":"qwen3","head_dim":12,"attention_bias":false,"use_sliding_window":false,"sliding_window":null,"max_window_layers":3,"tie_word_embeddings":true
            """,
        ["qwen3-window"] = """
            "model_type":"qwen3","head_dim":8,"attention_bias":true,"use_sliding_window":true,"sliding_window":7,"max_window_layers":1,"tie_word_embeddings":false
            """,
        ["qwen2-window"] = """
            "model_type":"qwen2","use_sliding_window":true,"sliding_window":9,"max_window_layers":28,"tie_word_embeddings":false,
            "layer_types":["sliding_attention","full_attention","sliding_attention"]
            """,
        ["mistral-window"] = """
            "model_type":"mistral","sliding_window":5,"tie_word_embeddings":false
            """,
        ["ministral3-window"] = """
            "model_type":"ministral3","head_dim":8,"sliding_window":11,"tie_word_embeddings":false,
            "rope_parameters":{"rope_type":"default","rope_theta":10000.0,"original_max_position_embeddings":8,"llama_4_scaling_beta":0.3}
            """,
        ["smollm3-window"] = """
            "model_type":"smollm3","attention_bias":false,"mlp_bias":false,"use_sliding_window":true,"sliding_window":6,"no_rope_layers":[1,0,1],
            "no_rope_layer_interval":2,"tie_word_embeddings":true
            """,
        ["phi3-window"] = """
            "model_type":"phi3","sliding_window":7,"original_max_position_embeddings":64,"resid_pdrop":0.0,"embd_pdrop":0.0,"tie_word_embeddings":false
            """,
        ["phi4-mini"] = """
            "model_type":"phi3","sliding_window":262144,"original_max_position_embeddings":16,"resid_pdrop":0.0,"embd_pdrop":0.0,"tie_word_embeddings":true,
            "partial_rotary_factor":0.75,"attention_bias":false,"mlp_bias":false,"lm_head_bias":false,"full_attn_mod":1,"interpolate_factor":1,
            "rope_scaling":{"type":"longrope","rope_type":"longrope","short_factor":[1.0,1.1,1.3],"long_factor":[1.2,2.5,5.0]}
            """,
        ["olmo2"] = """
            "model_type":"olmo2","attention_bias":false,"tie_word_embeddings":false
            """,
        ["olmo2-bias"] = """
            "model_type":"olmo2","attention_bias":true,"tie_word_embeddings":true
            """,
    };

    /// <summary>config.json.</summary>
    public JsonObject Json { get; }

    /// <summary>The weights, float32.</summary>
    public IReadOnlyDictionary<string, Tensor> Weights { get; }

    /// <summary>The checkpoint's folder.</summary>
    public string Folder => folder["model"];

    /// <summary>A path beside the checkpoint.</summary>
    public string this[string name] => folder[name];

    /// <summary>The checkpoint of a case; tensors belong to the current scope.</summary>
    public static FamilyCheckpoint Make(string name, int vocabulary = 61)
    {
        var config = JsonNode.Parse($$"""
            {"vocab_size":{{vocabulary}},"hidden_size":32,"intermediate_size":48,"num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2,
            "hidden_act":"silu","max_position_embeddings":64,"initializer_range":0.02,"rms_norm_eps":1e-05,"attention_dropout":0.0,
            "use_cache":true,"torch_dtype":"float32","transformers_version":"4.57.1",{{Cases[name]}}}
            """)!.AsObject();
        if (!config.ContainsKey("rope_parameters"))
        {
            config["rope_theta"] = 10_000.0;
        }

        return new FamilyCheckpoint(config);
    }

    /// <summary>A checkpoint with a tokenizer, and texts for it under texts/.</summary>
    public static FamilyCheckpoint MakeWithTexts(string name)
    {
        var tokenizer = File.ReadAllBytes(Golden.Path("tokenizers/sp-kept/tokenizer.model"));
        using var lone = new TemporaryFolder();
        lone.Write("tokenizer.model", tokenizer);
        var made = Make(name, CheckpointTokenizer.Open(lone.Root).VocabularySize);
        made.folder.Write("model/tokenizer.model", tokenizer);
        made.folder.Write("texts/0.txt", string.Concat(Enumerable.Range(0, 60).Select(word => $"the {word} of many words and more. ")));
        return made;
    }

    /// <summary>The reference in float64.</summary>
    public FamilyReference Reference() => new(Json, Weights.ToDictionary(weight => weight.Key, weight => weight.Value.to(ScalarType.Float64)));

    /// <summary>The reference of a saved checkpoint, by its own config.json.</summary>
    public static FamilyReference ReferenceOf(string folder)
    {
        using var checkpoint = HuggingFaceCheckpoint.Open(folder);
        var source = checkpoint.Weights(dtype: ScalarType.Float64);
        return new(JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "config.json")))!.AsObject(), checkpoint.Tensors.ToDictionary(tensor => tensor.Key, tensor => source(tensor.Key, tensor.Value.Shape).Dense()));
    }

    public void Dispose() => folder.Dispose();

    private byte[] Safetensors()
    {
        var (header, data) = (new JsonObject(), new List<byte>());
        foreach (var (name, weight) in Weights)
        {
            var bytes = MemoryMarshal.AsBytes<float>(weight.data<float>().ToArray());
            header[name] = new JsonObject
            {
                ["dtype"] = "F32",
                ["shape"] = new JsonArray([.. weight.shape.Select(length => (JsonNode)length)]),
                ["data_offsets"] = new JsonArray(data.Count, data.Count + bytes.Length),
            };
            data.AddRange(bytes);
        }

        return RawSafetensors.File(header.ToJsonString(), [.. data]);
    }
}
