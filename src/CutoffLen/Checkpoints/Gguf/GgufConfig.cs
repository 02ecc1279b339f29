using System.Runtime.InteropServices;
using System.Text.Json.Nodes;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>
/// The keys of a GGUF file as a config.json, for the architectures that <see cref="GgufArchitecture"/> writes. Each key of the network is used, or changes
/// nothing at its value, or is named in the error.
/// </summary>
internal sealed class GgufConfig
{
    /// <summary>The key of the architecture.</summary>
    public const string ArchitectureKey = "general.architecture";

    private const string Frequencies = $"{GgufPositions.FrequencyFactors}.weight";
    private const string LongFactors = $"{GgufPositions.LongFactors}.weight";
    private const string ShortFactors = $"{GgufPositions.ShortFactors}.weight";
    private const int MostFactors = 1 << 15; // of heads of dimension 65536

    private static readonly string[] Architectures = ["llama", "qwen2", "qwen3", "smollm3", "mistral3"];

    // llama.cpp ends a generation at EOS, EOT (end of turn) and EOM (end of message) alike: special_eog_ids in llama-vocab.cpp.
    private static readonly string[] Ends = ["tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"];

    /// <summary>Keys with the same meaning.</summary>
    private static readonly (string Gguf, string HuggingFace)[] Same =
    [
        ("vocab_size", "vocab_size"), ("context_length", "max_position_embeddings"), ("embedding_length", "hidden_size"), ("block_count", "num_hidden_layers"),
        ("feed_forward_length", "intermediate_size"), ("attention.head_count", "num_attention_heads"), ("attention.head_count_kv", "num_key_value_heads"),
        ("attention.key_length", "head_dim"), ("attention.layer_norm_rms_epsilon", "rms_norm_eps"), ("rope.freq_base", "rope_theta"),
    ];

    /// <summary>Keys of other networks, with the value at which they change nothing here.</summary>
    private static readonly (string Key, double Neutral)[] Others =
    [
        ("expert_count", 0), ("expert_used_count", 0), ("attention.sliding_window", 0), ("rope.scaling.yarn_beta_fast", 32), ("rope.scaling.yarn_beta_slow", 1),
    ];

    private readonly GgufFile file;
    private readonly string architecture;
    private readonly HashSet<string> read = new(StringComparer.Ordinal);

    private GgufConfig(GgufFile file)
    {
        this.file = file;
        architecture = file.Value<string>(ArchitectureKey) is { } name && Architectures.Contains(name) ? name : throw file.Fault(
            $"{ArchitectureKey} is {JsonFile.Show($"{file.Values.GetValueOrDefault(ArchitectureKey, "missing")}")}; read are {string.Join(", ", Architectures)}");
    }

    /// <summary>Whether a tensor is a list of factors of frequencies, which are a part of the configuration.</summary>
    public static bool IsFactors(string tensor) => tensor is Frequencies or LongFactors or ShortFactors;

    /// <summary>Reads a file's keys.</summary>
    /// <exception cref="UserException">The architecture is another, or a key or its value has no form here.</exception>
    public static JsonObject Read(GgufFile file) => new GgufConfig(file).Read();

    private JsonObject Read()
    {
        if (file.Value<long?>("split.count") > 1)
        {
            throw file.Fault("is a part of a model in several files; join them with llama.cpp's llama-gguf-split --merge");
        }

        var json = new JsonObject
        {
            ["rope_theta"] = 10_000, // these four where the keys are absent, as in llama.cpp
            ["vocab_size"] = Tensor("token_embd.weight")?.Shape[0],
            ["num_key_value_heads"] = Node("attention.head_count"),
            ["head_dim"] = Number("attention.head_count") is > 0 and var heads ? Math.Floor((Number("embedding_length") ?? 0) / heads) : null,
        };
        foreach (var (key, name) in Same)
        {
            json[name] = Node(key) ?? json[name]?.DeepClone();
        }

        if (json["rms_norm_eps"] is null)
        {
            throw file.Fault($"lacks the key {architecture}.attention.layer_norm_rms_epsilon"); // whose default differs
        }

        var beta = Number("attention.temperature_scale");
        json["model_type"] = architecture == "mistral3" ? beta is null ? "llama" : Llama4Scaling.ModelType
            : architecture == "llama" && Tensor("blk.0.attn_q.bias") is not null && Tensor("blk.0.attn_output.bias") is null ? "qwen2" // the only ones with biases on q, k, v alone
            : architecture;
        if ((string)json["model_type"]! == "llama")
        {
            json["attention_bias"] = Tensor("blk.0.attn_q.bias") is not null;
            json["mlp_bias"] = Tensor("blk.0.ffn_up.bias") is not null;
        }

        json["tie_word_embeddings"] = Tensor("output.weight") is null;
        json["bos_token_id"] = file.Value<long?>("tokenizer.ggml.bos_token_id");
        json["eos_token_id"] = Ends.Select(file.Value<long?>).OfType<long>().Distinct().Select(id => (JsonNode)id).ToList() switch
        {
            [] => null,
            [var one] => one,
            var several => new JsonArray([.. several]),
        };
        json["rope_scaling"] = Scaling(json, beta);
        Check(Number("attention.value_length"), "attention.value_length", json["head_dim"]);
        Check(Number("rope.dimension_count"), "rope.dimension_count", json["head_dim"]);
        foreach (var (key, neutral) in Others)
        {
            Check(Number(key), key, neutral);
        }

        read.UnionWith([$"{architecture}.rope.scaling.finetuned", $"{architecture}.tensor_data_layout"]);
        return file.Values.Keys.Where(key => key.StartsWith($"{architecture}.", StringComparison.Ordinal) && !read.Contains(key)).ToList() is { Count: > 0 } unknown
            ? throw file.Fault($"unknown keys: {string.Join(", ", unknown.Take(20).Select(JsonFile.Show))}")
            : json;
    }

    private void Check(double? value, string key, JsonNode? allowed)
    {
        if (value is not null && value != allowed.AsNumber())
        {
            throw file.Fault($"\"{architecture}.{key}\" is {value}; allowed is {allowed?.ToJsonString() ?? "none"}");
        }
    }

    /// <summary>The position block, the way back of <see cref="GgufPositions"/>. Any list of factors is a longrope whose two lists are the same.</summary>
    private JsonObject? Scaling(JsonObject json, double? beta)
    {
        var (scale, attention) = (Number("rope.scaling.factor"), Number("rope.scaling.attn_factor") ?? 1);
        var type = Value<string>("rope.scaling.type") ?? (scale is null ? "none" : "linear");
        var factor = type == "none" ? 1 : scale ?? 1;
        var lists = (Factors(Frequencies), Factors(LongFactors), Factors(ShortFactors));
        var readsLists = architecture is "llama" or "mistral3";
        var block = (type, lists) switch
        {
            ("none" or "linear", (null, null, null)) when attention == 1 => factor == 1 ? null : new JsonObject { ["rope_type"] = "linear", ["factor"] = factor },
            ("none" or "linear", ({ } list, null, null)) when factor == 1 && readsLists => (attention == 1 ? Llama3(json, list) : null) ?? LongRope(list, list, attention),
            ("yarn", (null, null, null)) => Yarn(factor, attention),
            ("longrope", (null, { } above, { } below)) when factor == 1 && readsLists => LongRope(above, below, attention),
            _ => throw file.Fault($"{architecture} has rope.scaling.type {JsonFile.Show(type)}, factor {factor}, attn_factor {attention} and the tensors "
                + $"[{string.Join(", ", file.Tensors.Select(tensor => tensor.Name).Where(IsFactors))}], which together have no form in config.json"),
        };
        if (beta is not null)
        {
            block ??= new JsonObject { ["rope_type"] = "default" };
            block[Llama4Scaling.Key] = beta;
        }

        if (Node("rope.scaling.original_context_length") is { } original && block?.ContainsKey(PositionConfig.OriginalKey) == false)
        {
            block[PositionConfig.OriginalKey] = original;
        }

        return block;
    }

    private static JsonObject LongRope(double[] above, double[] below, double attention) => new()
    {
        ["rope_type"] = "longrope",
        ["long_factor"] = new JsonArray([.. above.Select(factor => (JsonNode)factor)]),
        ["short_factor"] = new JsonArray([.. below.Select(factor => (JsonNode)factor)]),
        ["attention_factor"] = attention,
    };

    /// <summary>llama.cpp multiplies by 0.1 ln(factor) + 1 too, which is the attention factor where the key is absent.</summary>
    private static JsonObject Yarn(double factor, double attention)
    {
        var block = new JsonObject { ["rope_type"] = "yarn", ["factor"] = factor };
        if (attention != 1)
        {
            block["attention_factor"] = GgufTypes.Decimal((float)(attention * ((0.1 * Math.Log(factor)) + 1)));
        }

        return block;
    }

    /// <summary>
    /// Llama 3.1's block where it gives these factors; null elsewhere. The file does not have its numbers: the factor is that of the slowest pairs, the original
    /// length follows from a pair between, and low_freq_factor 1 and high_freq_factor 4 are those of every published model.
    /// </summary>
    private static JsonObject? Llama3(JsonObject json, double[] factors)
    {
        const double low = 1, high = 4;
        var factor = factors.Max();
        var between = Array.FindIndex(factors, divisor => divisor > 1 && divisor < factor);
        var theta = json["rope_theta"].AsNumber() ?? 0;
        if (between < 0 || theta <= 1)
        {
            return null;
        }

        var model = new PositionModel(2 * factors.Length, theta, 1, 1, 1);
        var vanilla = model.InverseFrequencies();
        var kept = ((1 / factors[between]) - (1 / factor)) / (1 - (1 / factor)); // of the frequency, the rest is divided
        var original = Math.Round((low + (kept * (high - low))) * 2 * Math.PI / vanilla[between]);
        var found = original is >= 1 and <= int.MaxValue ? new Llama3Method(model, factor, (int)original, low, high).Frequencies(0).InverseFrequencies : [];
        return found.Length == factors.Length && found.Index().All(pair => Math.Abs((vanilla[pair.Index] / pair.Item / factors[pair.Index]) - 1) < 1e-6)
            ? new JsonObject
            {
                ["rope_type"] = "llama3", ["factor"] = factor, ["low_freq_factor"] = low, ["high_freq_factor"] = high, [PositionConfig.OriginalKey] = (int)original,
            }
            : null;
    }

    /// <summary>A list of factors; null where the file has no such tensor.</summary>
    private double[]? Factors(string name)
    {
        if (Tensor(name) is not { } tensor)
        {
            return null;
        }

        if (tensor is not { Type: GgufType.F32, Shape: [<= MostFactors] })
        {
            throw file.Fault($"tensor {name} must be a list of up to {MostFactors} numbers in f32");
        }

        var bytes = new byte[tensor.Bytes];
        using var handle = File.OpenHandle(file.Path);
        SafetensorsHeader.ReadFully(handle, bytes, tensor.Offset, file.Path);
        double[] factors = [.. MemoryMarshal.Cast<byte, float>(bytes).ToArray().Select(GgufTypes.Decimal)];
        return factors.All(double.IsFinite) ? factors : throw file.Fault($"tensor {name} has a factor that is no number");
    }

    private GgufEntry? Tensor(string name) => file.Tensors.FirstOrDefault(tensor => tensor.Name == name);

    private T? Value<T>(string key)
    {
        read.Add($"{architecture}.{key}");
        return file.Value<T>($"{architecture}.{key}");
    }

    private double? Number(string key) => Value<double?>(key) is not { } number ? null
        : double.IsFinite(number) ? number : throw file.Fault($"\"{architecture}.{key}\" is {number}");

    private JsonNode? Node(string key) => Value<object>(key) switch
    {
        null => null,
        long whole => whole,
        double number when double.IsFinite(number) => number,
        bool flag => flag,
        string text => text,
        double number => $"{number}",
        _ => "a list",
    };
}
