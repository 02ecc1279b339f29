using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Checkpoints;

/// <summary>
/// config.json to <see cref="LlamaConfig"/>, for the model types of <see cref="LlamaFamily"/>. Each key is used, or changes
/// nothing at its value (<see cref="UnusedKeys"/>), or is named in the error.
/// </summary>
internal static class LlamaConfigFile
{
    private const int MostTokens = 1 << 30;
    private const int MostUnits = 1 << 24;
    private const string PartialRotaryKey = "partial_rotary_factor";

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
        if (LlamaFamily.Find(type) is not { } family)
        {
            reader.Problems.Add($"\"model_type\" is {JsonFile.Show(type)}; supported are {string.Join(", ", LlamaFamily.All.Select(known => known.ModelType))}");
            problems.AddRange(reader.Problems);
            return Architecture(reader, LlamaFamily.All[0]);
        }

        var config = ReadPositions(reader, json, Architecture(reader, family));
        config = config with { PartialRotaryFactor = PartialRotaryFactor(reader, config) };
        RefuseOtherNetworks(reader, config);
        config = config with { Windows = SlidingWindowKeys.Read(reader, json, config), Quantization = QuantizationKeys.Read(reader) };
        if (reader.Unread.Where(key => !UnusedKeys.ChangesNothing(key, json[key])).ToList() is { Count: > 0 } unknown)
        {
            reader.Problems.Add(
                $"unknown keys: {string.Join(", ", unknown.Take(20).Select(JsonFile.Show))}; "
                + "remove them if the network does not depend on them");
        }

        problems.AddRange(reader.Problems);
        return config;
    }

    private static LlamaConfig Architecture(JsonKeys reader, LlamaFamily family)
    {
        var vocabulary = reader.Int("vocab_size", 1, MostTokens);
        // Not a second complaint about token ids when the size itself is wrong.
        var ids = reader.Problems.Count == 0 ? vocabulary : MostTokens;
        var hidden = reader.Int("hidden_size", 1, MostUnits);
        var heads = reader.Int("num_attention_heads", 1, MostUnits);
        // The other families' default is a fixed number nobody relies on.
        var keyHeads = reader.Int("num_key_value_heads", 1, MostUnits, absent: family.KeyHeadsMayBeAbsent ? heads : null);
        var attentionBias = reader.Flag("attention_bias", family.AttentionBias ?? false);
        return new LlamaConfig
        {
            ModelType = family.ModelType,
            VocabSize = vocabulary,
            HiddenSize = hidden,
            IntermediateSize = reader.Int("intermediate_size", 1, MostUnits),
            NumHiddenLayers = reader.Int("num_hidden_layers", 1, MostUnits),
            NumAttentionHeads = heads,
            NumKeyValueHeads = keyHeads,
            HeadDim = HeadDim(reader, family, hidden, heads, keyHeads),
            MaxPositionEmbeddings = 1,
            RmsNormEps = reader.Positive("rms_norm_eps", family.RmsNormEps),
            TieWordEmbeddings = reader.Flag("tie_word_embeddings", family.TieWordEmbeddings),
            QkvBias = attentionBias,
            OutputBias = attentionBias && family.HasOutputBias,
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

    private static int HeadDim(JsonKeys reader, LlamaFamily family, int hidden, int heads, int keyHeads)
    {
        if (heads % keyHeads != 0)
        {
            reader.Problems.Add($"\"num_attention_heads\" ({heads}) is not a multiple of \"num_key_value_heads\" ({keyHeads})");
        }

        var dim = reader.Int("head_dim", 1, 1 << 16, absent: family.HeadDim ?? hidden / heads);
        if (reader.Node("head_dim") is null && family.HeadDim is null && hidden % heads != 0)
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
        if (config.ModelType != Llama4Scaling.ModelType && config.RopeScaling?[Llama4Scaling.Key] is { } beta && beta.AsNumber() != 0)
        {
            reader.Wrong(Llama4Scaling.Key, beta, $"0 in {config.ModelType}: transformers reads it in ministral3 only. Remove it, and give --rope auto+temperature if it is meant", 0);
        }

        if (config is { ModelType: Llama4Scaling.ModelType, RopeScaling: null })
        {
            reader.Problems.Add("\"rope_parameters\" is missing, for which transformers has a method of its own in ministral3; write what is meant");
        }

        if (config is { ModelType: "phi3", RopeScaling: { } block, OriginalMaxPositionEmbeddings: null } && block.ContainsKey("long_factor") && !block.ContainsKey(PositionConfig.OriginalKey))
        {
            reader.Problems.Add($"\"{PositionConfig.OriginalKey}\" is missing, for which transformers takes 4096 in phi3; write what is meant");
        }

        Require(reader, "pretraining_tp", "a number of slices, which only order the sums", node => node.AsNumber() >= 0);
        // Granite's and Gemma's names for the factor of the scores.
        var scale = 1 / Math.Sqrt(config.HeadDim);
        Require(reader, "attention_multiplier", $"1 / sqrt(head_dim) = {SpecKey.Text(scale)}", node => Math.Abs(node.AsNumber() / scale - 1 ?? 1) < 1e-6);
        Require(reader, "query_pre_attn_scalar", $"head_dim = {config.HeadDim}", node => node.AsNumber() == config.HeadDim);
        if (config.Family.AttentionBias is { } bias)
        {
            Require(reader, "attention_bias", $"{(bias ? "true" : "false")} in {config.ModelType}", node => node.AsFlag() == bias);
        }

        if (!config.Family.HasMlpBias)
        {
            Require(reader, "mlp_bias", $"false in {config.ModelType}", node => node.AsFlag() == false);
        }
    }

    /// <summary>The share of a head that is rotated; beside the position block, or in it as version 5 has it.</summary>
    private static double PartialRotaryFactor(JsonKeys reader, LlamaConfig config)
    {
        var (beside, within) = (reader.Node(PartialRotaryKey), config.RopeScaling?[PartialRotaryKey]);
        if (beside is not null && within is not null && beside.AsNumber() != within.AsNumber())
        {
            reader.Problems.Add($"\"{PartialRotaryKey}\" is {beside.ToJsonString()}, but {within.ToJsonString()} in the position block; keep one");
        }

        if ((within ?? beside) is not { } node)
        {
            return 1;
        }

        var factor = node.AsNumber() ?? 0;
        var rotated = (int)(config.HeadDim * factor);
        return factor == 1 || (config.Family.HasPartialRotary && factor is > 0 and < 1 && rotated > 0 && rotated % 2 == 0)
            ? factor
            : reader.Wrong(PartialRotaryKey, node, config.Family.HasPartialRotary
                ? $"a share up to 1 that rotates an even count of the {config.HeadDim} numbers of a head"
                : $"1 in {config.ModelType}, whose code in transformers rotates whole heads", 1.0);
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
            ["architectures"] = new JsonArray(config.Family.Architecture),
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
        foreach (var (key, value) in OfFamily(config).Concat(SlidingWindowKeys.Write(config)).Concat(QuantizationKeys.Write(config, dtype)))
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

    private static JsonNode? EosTokenId(LlamaConfig config) => config.EosTokenIds switch
    {
        [] => null,
        [var one] => one,
        var several => new JsonArray([.. several.Select(id => (JsonNode)id)]),
    };

    /// <summary>Keys that only some families have.</summary>
    private static IEnumerable<(string Key, JsonNode? Value)> OfFamily(LlamaConfig config)
    {
        var family = config.Family;
        if (config.QkvBias != (family.AttentionBias ?? config.QkvBias) || config.OutputBias != (config.QkvBias && family.HasOutputBias) || (config.MlpBias && !family.HasMlpBias))
        {
            throw new ArgumentException($"Hugging Face has no {config.ModelType} with these biases", nameof(config));
        }

        if (family.AttentionBias is null)
        {
            yield return ("attention_bias", config.QkvBias);
        }

        if (family.HasMlpBias)
        {
            yield return ("mlp_bias", config.MlpBias);
        }

        if (family.HasPartialRotary)
        {
            yield return (PartialRotaryKey, config.PartialRotaryFactor);
        }
    }
}
