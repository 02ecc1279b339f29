using System.Text.Json.Nodes;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Soak.Files;

/// <summary>config.json, with YaRN's keys: every value that was loaded must be the one in the file, or the default of an absent key.</summary>
internal sealed class ConfigKind() : DamagedKind("config", "model/config.json")
{
    private static readonly string[] Fixed = ["architectures", "model_type", "hidden_act", "attention_dropout", "torch_dtype", "use_cache"];

    private static readonly (string Key, Func<LlamaConfig, double> Of, Func<JsonObject, double?> Default)[] Numbers =
    [
        ("vocab_size", config => config.VocabSize, _ => null),
        ("hidden_size", config => config.HiddenSize, _ => null),
        ("intermediate_size", config => config.IntermediateSize, _ => null),
        ("num_hidden_layers", config => config.NumHiddenLayers, _ => null),
        ("num_attention_heads", config => config.NumAttentionHeads, _ => null),
        ("num_key_value_heads", config => config.NumKeyValueHeads, json => PlainReaders.Number(json["num_attention_heads"])),
        ("head_dim", config => config.HeadDim, json => PlainReaders.Number(json["hidden_size"]) / PlainReaders.Number(json["num_attention_heads"])),
        ("max_position_embeddings", config => config.MaxPositionEmbeddings, _ => null),
        ("rms_norm_eps", config => config.RmsNormEps, _ => 1e-6),
        ("initializer_range", config => config.InitializerRange, _ => 0.02),
        ("rope_theta", config => config.RopeTheta, _ => 10_000),
        ("bos_token_id", config => config.BosTokenId ?? -1, _ => -1),
        ("tie_word_embeddings", config => config.TieWordEmbeddings ? 1 : 0, _ => 0),
        ("attention_bias", config => config.QkvBias && config.OutputBias ? 1 : 0, _ => 0),
        ("mlp_bias", config => config.MlpBias ? 1 : 0, _ => 0),
    ];

    private static readonly (string Key, double? Default)[] Yarn =
        [("factor", null), ("original_max_position_embeddings", null), ("beta_fast", 32), ("beta_slow", 1), ("attention_factor", null)];

    public override void Prepare(TemporaryFolder folder)
    {
        SaveModel(folder);
        TinyCheckpoint.EditConfig(folder["model"], json => json["rope_scaling"] = JsonNode.Parse(
            """{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":16,"beta_fast":24,"beta_slow":2,"attention_factor":1.5}"""));
    }

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Json(original);

    public override Meaning Read(TemporaryFolder folder) => LoadModel(folder["model"], checkpoint =>
    {
        var config = checkpoint.Config;
        var method = config.PositionConfig.ToSpec().Method;
        var yarn = method.Name == "yarn" ? string.Join(' ', Yarn.Select(key => $"{key.Key}={Value(method, key.Key) ?? -1:R}")) : "";
        return string.Join(' ', Numbers.Select(key => $"{key.Key}={key.Of(config):R}")) + $" eos={string.Join('/', config.EosTokenIds)} {method.Name} {yarn}";
    });

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original)
    {
        var json = PlainReaders.Json(damaged);
        var known = Numbers.Select(key => key.Key).Concat(Fixed).Append("eos_token_id").Append("rope_scaling").ToHashSet();
        if (json.FirstOrDefault(pair => !known.Contains(pair.Key) && !SetsNothing(pair.Value)) is { Key: { } unknown })
        {
            return $"the key '{unknown}' was passed over";
        }

        if (!(json["hidden_act"] is null || json["hidden_act"]!.ToString() is "silu" or "swish") || PlainReaders.Number(json["attention_dropout"]) is not (null or 0))
        {
            return "another network was accepted";
        }

        var numbers = string.Join(' ', Numbers.Select(key => $"{key.Key}={Value(json, key.Key) ?? key.Default(json):R}"));
        var eos = json["eos_token_id"] switch { null => [], JsonArray list => list.Select(PlainReaders.Number), var one => [PlainReaders.Number(one)] };
        return new Meaning($"{numbers} eos={string.Join('/', eos)} {Method(json)}", original.Weights).DifferenceFrom(found) is { } difference ? $"found instead of what the file says: {difference}" : null;
    }

    private static double? Value(JsonObject json, string key) => json[key]?.GetValueKind() switch
    {
        System.Text.Json.JsonValueKind.True => 1,
        System.Text.Json.JsonValueKind.False => 0,
        _ => json[key] is JsonArray { Count: > 0 } list ? PlainReaders.Number(list[0]) : json[key] is JsonArray ? null : PlainReaders.Number(json[key]),
    };

    /// <summary>The position method that the block names, with the values of its keys.</summary>
    private static string Method(JsonObject json)
    {
        if (json["rope_scaling"] is not JsonObject { Count: > 0 } block)
        {
            return "rope ";
        }

        if ((block["rope_type"] ?? block["type"] ?? "default").ToString() is var type && type != "yarn")
        {
            return type == "default" ? "rope " : $"{type} ";
        }

        var max = PlainReaders.Number(json["max_position_embeddings"])!.Value;
        var original = PlainReaders.Number(block["original_max_position_embeddings"]) ?? max;
        return "yarn " + string.Join(' ', Yarn.Select(key => $"{key.Key}={key.Key switch
        {
            "factor" => PlainReaders.Number(block["factor"]) ?? max / original,
            "original_max_position_embeddings" => original,
            "attention_factor" => PlainReaders.Number(block["attention_factor"]) ?? -1,
            _ => PlainReaders.Number(block[key.Key]) is { } number && number != 0 ? number : key.Default!.Value,
        }:R}"));
    }

    private static double? Value(SpecPart method, string key) =>
        key == "original_max_position_embeddings" ? method.TokensOrNull("original") : method.NumberOrNull(key);

    private static bool SetsNothing(JsonNode? value) => value?.ToJsonString() is null or "null" or "false" or "\"\"" or "[]" or "{}";
}

/// <summary>generation_config.json, of which only the end tokens are read.</summary>
internal sealed class GenerationKind() : DamagedKind("generation_config", "model/generation_config.json")
{
    public override void Prepare(TemporaryFolder folder)
    {
        SaveModel(folder);
        folder.Write(FileName, """{"bos_token_id":1,"eos_token_id":[2,7],"temperature":0.6,"top_p":0.9,"transformers_version":"4.40.0"}""");
    }

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Json(original);

    public override Meaning Read(TemporaryFolder folder) => LoadModel(folder["model"], checkpoint => string.Join('/', checkpoint.EosTokenIds));

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original)
    {
        var ids = PlainReaders.Json(damaged)["eos_token_id"] switch { null => [], JsonArray list => list.Select(PlainReaders.Number).ToList(), var one => [PlainReaders.Number(one)] };
        // Without any, those of config.json count.
        return new Meaning(string.Join('/', ids.Count > 0 ? ids : [2]), original.Weights).DifferenceFrom(found);
    }
}

/// <summary>model.safetensors. A flipped bit of data can't be seen in it, so the data must be what the header says it is.</summary>
internal sealed class SafetensorsKind() : DamagedKind("safetensors", "model/model.safetensors")
{
    public override void Prepare(TemporaryFolder folder) => SaveModel(folder);

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Safetensors(original);

    public override Meaning Read(TemporaryFolder folder) => LoadModel(folder["model"]);

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original) =>
        new Meaning("", PlainReaders.Safetensors(damaged)).DifferenceFrom(found);
}

/// <summary>model.safetensors.index.json: however it is damaged, a model that loads has the weights of the shards.</summary>
internal sealed class IndexKind() : DamagedKind("index", "model/model.safetensors.index.json")
{
    public override void Prepare(TemporaryFolder folder) => SaveModel(folder, maxShardBytes: 4000);

    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Json(original);

    public override Meaning Read(TemporaryFolder folder) => LoadModel(folder["model"]);

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original) => original.DifferenceFrom(found);
}
