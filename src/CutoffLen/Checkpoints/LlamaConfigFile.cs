using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Checkpoints;

/// <summary>
/// config.json to <see cref="LlamaConfig"/>. Supported model types are llama, mistral, ministral3, qwen2 (biases on q, k,
/// v) and smollm3 (layers without RoPE), all without an effective sliding window. Each key is used, or changes nothing at its value
/// (<see cref="UnusedKeys"/>), or is named in the error.
/// </summary>
internal static class LlamaConfigFile
{
    private const int MostTokens = 1 << 30;
    private const int MostUnits = 1 << 24;
    private const string PartialRotary = "1: rotating a part of each head is not supported";

    private static readonly string[] PositionKeys =
    [
        "max_position_embeddings", "rope_theta", "rope_scaling", "rope_parameters",
        "original_max_position_embeddings", PositionConfig.MethodKey,
    ];

    /// <summary>Reads a configuration; every problem is added to <paramref name="problems"/>.</summary>
    /// <returns>The architecture, meaningless when there are problems.</returns>
    public static LlamaConfig Read(JsonObject json, List<string> problems)
    {
        var reader = new JsonKeys(json);
        var type = reader.Text("model_type") ?? "";
        if (type is not ("llama" or "mistral" or Llama4Scaling.ModelType or "qwen2" or SmolLm3Layers.ModelType))
        {
            reader.Problems.Add($"\"model_type\" is {JsonFile.Show(type)}; supported are llama, mistral, ministral3, qwen2 and smollm3");
            problems.AddRange(reader.Problems);
            return Architecture(reader, "llama");
        }

        var config = ReadPositions(reader, json, Architecture(reader, type));
        RefuseOtherNetworks(reader, config);
        RefuseSlidingWindow(reader, json, config);
        if (reader.Unread.Where(key => !UnusedKeys.ChangesNothing(key, json[key])).ToList() is { Count: > 0 } unknown)
        {
            reader.Problems.Add(
                $"unknown keys: {string.Join(", ", unknown.Take(20).Select(JsonFile.Show))}; "
                + "remove them if the network does not depend on them");
        }

        problems.AddRange(reader.Problems);
        return config;
    }

    private static LlamaConfig Architecture(JsonKeys reader, string type)
    {
        var vocabulary = reader.Int("vocab_size", 1, MostTokens);
        // Not a second complaint about token ids when the size itself is wrong.
        var ids = reader.Problems.Count == 0 ? vocabulary : MostTokens;
        var hidden = reader.Int("hidden_size", 1, MostUnits);
        var heads = reader.Int("num_attention_heads", 1, MostUnits);
        // Hugging Face's default is "as many" for llama only; for the others it is a fixed number nobody relies on.
        var keyHeads = reader.Int("num_key_value_heads", 1, MostUnits, absent: type == "llama" ? heads : null);
        var attentionBias = reader.Flag("attention_bias", type == "qwen2");
        return new LlamaConfig
        {
            ModelType = type,
            VocabSize = vocabulary,
            HiddenSize = hidden,
            IntermediateSize = reader.Int("intermediate_size", 1, MostUnits),
            NumHiddenLayers = reader.Int("num_hidden_layers", 1, MostUnits),
            NumAttentionHeads = heads,
            NumKeyValueHeads = keyHeads,
            HeadDim = HeadDim(reader, hidden, heads, keyHeads),
            MaxPositionEmbeddings = 1,
            RmsNormEps = reader.Positive("rms_norm_eps", 1e-6),
            TieWordEmbeddings = reader.Flag("tie_word_embeddings", type == SmolLm3Layers.ModelType),
            QkvBias = attentionBias,
            OutputBias = attentionBias && type is "llama" or SmolLm3Layers.ModelType,
            MlpBias = reader.Flag("mlp_bias", false),
            InitializerRange = reader.Positive("initializer_range", 0.02),
            BosTokenId = reader.TokenIds("bos_token_id", ids) is [var bos, ..] ? bos : null,
            EosTokenIds = reader.TokenIds("eos_token_id", ids),
        };
    }

    private static LlamaConfig ReadPositions(JsonKeys reader, JsonObject json, LlamaConfig config)
    {
        reader.Ignore(PositionKeys);
        if (config.ModelType == SmolLm3Layers.ModelType)
        {
            reader.Ignore([SmolLm3Layers.Key, SmolLm3Layers.IntervalKey]);
        }

        try
        {
            return config.With(PositionConfig.Read(json));
        }
        catch (UserException fault)
        {
            reader.Problems.Add(fault.Message);
            return config;
        }
    }

    private static int HeadDim(JsonKeys reader, int hidden, int heads, int keyHeads)
    {
        if (heads % keyHeads != 0)
        {
            reader.Problems.Add($"\"num_attention_heads\" ({heads}) is not a multiple of \"num_key_value_heads\" ({keyHeads})");
        }

        var dim = reader.Int("head_dim", 1, 1 << 16, absent: hidden / heads);
        if (reader.Node("head_dim") is null && hidden % heads != 0)
        {
            reader.Problems.Add($"\"hidden_size\" ({hidden}) is not a multiple of \"num_attention_heads\" ({heads}), and \"head_dim\" is missing");
        }
        else if (dim % 2 != 0 || dim == 0)
        {
            reader.Problems.Add($"the head dimension is {dim}; rotary embeddings need an even one");
        }

        return dim;
    }

    /// <summary>Keys whose other values make another network than the one this program has.</summary>
    private static void RefuseOtherNetworks(JsonKeys reader, LlamaConfig config)
    {
        Require(reader, "hidden_act", "silu (the network's only activation)", node => node.AsText() is "silu" or "swish");
        Require(reader, "attention_dropout", "0 (dropout is not supported)", node => node.AsNumber() == 0);
        Require(reader, "partial_rotary_factor", PartialRotary, node => node.AsNumber() == 1);
        if (config.RopeScaling?["partial_rotary_factor"] is { } within && within.AsNumber() != 1)
        {
            reader.Wrong("partial_rotary_factor", within, PartialRotary, 0);
        }

        if (config.ModelType != Llama4Scaling.ModelType && config.RopeScaling?[Llama4Scaling.Key] is { } beta && beta.AsNumber() != 0)
        {
            reader.Wrong(Llama4Scaling.Key, beta, $"0 in {config.ModelType}: transformers reads it in ministral3 only. Remove it, and give --rope auto+temperature if it is meant", 0);
        }

        if (config is { ModelType: Llama4Scaling.ModelType, RopeScaling: null })
        {
            reader.Problems.Add("\"rope_parameters\" is missing, for which transformers has a method of its own in ministral3; write what is meant");
        }

        Require(reader, "pretraining_tp", "a number of slices, which only order the sums", node => node.AsNumber() >= 0);
        Require(reader, "quantization_config", "none: quantized weights are not supported, save the model unquantized", node => node.IsUnset());
        // Granite's and Gemma's names for the factor of the scores.
        var scale = 1 / Math.Sqrt(config.HeadDim);
        Require(reader, "attention_multiplier", $"1 / sqrt(head_dim) = {SpecKey.Text(scale)}", node => Math.Abs(node.AsNumber() / scale - 1 ?? 1) < 1e-6);
        Require(reader, "query_pre_attn_scalar", $"head_dim = {config.HeadDim}", node => node.AsNumber() == config.HeadDim);
        Require(reader, "layer_types", "a list of \"full_attention\"", node =>
            node is JsonArray layers && layers.All(layer => layer.AsText() == "full_attention"));
        if (config.ModelType is "mistral" or Llama4Scaling.ModelType)
        {
            Require(reader, "attention_bias", $"false in {config.ModelType}", node => node.AsFlag() == false);
        }
        else if (config.ModelType == "qwen2")
        {
            Require(reader, "attention_bias", "true in qwen2", node => node.AsFlag() == true);
        }

        if (config.ModelType is not ("llama" or SmolLm3Layers.ModelType))
        {
            Require(reader, "mlp_bias", $"false in {config.ModelType}", node => node.AsFlag() == false);
        }
    }

    /// <summary>
    /// A window shorter than the context, on any layer. transformers takes a missing one for 4096 in mistral and qwen2, for none
    /// in ministral3. qwen2 and smollm3 mean their window only with use_sliding_window, qwen2 only from layer max_window_layers on,
    /// smollm3 on layers without RoPE. llama has none in transformers, but vLLM obeys the keys.
    /// </summary>
    private static void RefuseSlidingWindow(JsonKeys reader, JsonObject json, LlamaConfig config)
    {
        const double absent = 4096;
        var isQwen = config.ModelType == "qwen2";
        reader.Ignore(["sliding_window", "use_sliding_window", "max_window_layers", "sliding_window_pattern", "_sliding_window_pattern"]);
        var isOn = config.ModelType is "mistral" or Llama4Scaling.ModelType || reader.Flag("use_sliding_window", config.ModelType == "llama");
        if (!isOn || (isQwen && reader.Int("max_window_layers", 0, MostUnits, absent: 28) >= config.NumHiddenLayers))
        {
            return;
        }

        var isDefault = config.ModelType is "mistral" or "qwen2" && !json.ContainsKey("sliding_window");
        if ((isDefault ? absent : json["sliding_window"]) is { } window && !(window.AsNumber() >= config.MaxPositionEmbeddings))
        {
            reader.Wrong(
                "sliding_window", window,
                $"null, or at least max_position_embeddings ({config.MaxPositionEmbeddings}): attention over a shorter window is not supported"
                + (isDefault ? $". The key is missing, which means {absent} in {config.ModelType}" : ""), 0);
        }
    }

    private static void Require(JsonKeys reader, string key, string allowed, Func<JsonNode, bool> accept)
    {
        if (reader.Node(key) is { } node && !accept(node))
        {
            reader.Wrong(key, node, allowed, 0);
        }
    }

    /// <summary>
    /// The configuration in the form Hugging Face reads. Keys of the checkpoint it came from
    /// that say nothing about the network (labels, padding token, ...) are kept.
    /// </summary>
    /// <param name="config">The architecture.</param>
    /// <param name="dtype">Hugging Face's name of the weights' type, for example "bfloat16".</param>
    /// <param name="source">config.json of the checkpoint that this one was made from, or null.</param>
    public static JsonObject Write(LlamaConfig config, string dtype, JsonObject? source)
    {
        var json = new JsonObject
        {
            ["architectures"] = new JsonArray(Architectures(config)),
            ["model_type"] = config.ModelType,
            ["hidden_act"] = "silu",
            ["vocab_size"] = config.VocabSize,
            ["hidden_size"] = config.HiddenSize,
            ["intermediate_size"] = config.IntermediateSize,
            ["num_hidden_layers"] = config.NumHiddenLayers,
            ["num_attention_heads"] = config.NumAttentionHeads,
            ["num_key_value_heads"] = config.NumKeyValueHeads,
            ["head_dim"] = config.HeadDim,
            ["rms_norm_eps"] = config.RmsNormEps,
            ["tie_word_embeddings"] = config.TieWordEmbeddings,
            ["attention_dropout"] = 0.0,
            ["initializer_range"] = config.InitializerRange,
            ["bos_token_id"] = config.BosTokenId,
            ["eos_token_id"] = EosTokenId(config),
            ["torch_dtype"] = dtype,
            ["use_cache"] = true,
        };
        foreach (var (key, value) in BiasesAndWindow(config))
        {
            json[key] = value;
        }

        // Version 5's place for the position block is kept where the source has it; earlier versions have no ministral3.
        if (source?.ContainsKey("rope_parameters") == true || config.ModelType == Llama4Scaling.ModelType)
        {
            json["rope_parameters"] = null;
        }

        config.PositionConfig.Write(json);
        foreach (var (key, value) in source ?? [])
        {
            if (UnusedKeys.Kept.Contains(key) && !json.ContainsKey(key))
            {
                json[key] = value?.DeepClone();
            }
        }

        return json;
    }

    private static string Architectures(LlamaConfig config) => config.ModelType switch
    {
        "mistral" => "MistralForCausalLM",
        Llama4Scaling.ModelType => "Ministral3ForCausalLM",
        SmolLm3Layers.ModelType => "SmolLM3ForCausalLM",
        "qwen2" => "Qwen2ForCausalLM",
        _ => "LlamaForCausalLM",
    };

    private static JsonNode? EosTokenId(LlamaConfig config) => config.EosTokenIds switch
    {
        [] => null,
        [var one] => one,
        var several => new JsonArray([.. several.Select(id => (JsonNode)id)]),
    };

    private static IEnumerable<(string Key, JsonNode? Value)> BiasesAndWindow(LlamaConfig config) =>
        (config.ModelType, config.QkvBias, config.OutputBias, config.MlpBias) switch
        {
            ("llama" or SmolLm3Layers.ModelType, var qkv, var output, var mlp) when qkv == output => [("attention_bias", qkv), ("mlp_bias", mlp)],
            ("mistral" or Llama4Scaling.ModelType, false, false, false) => [("sliding_window", null)],
            ("qwen2", true, false, false) => [("use_sliding_window", false)],
            _ => throw new ArgumentException($"Hugging Face has no {config.ModelType} with these biases", nameof(config)),
        };
}
