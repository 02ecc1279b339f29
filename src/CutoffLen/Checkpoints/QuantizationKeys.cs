using System.Text.Json.Nodes;
using CutoffLen.Files;
using CutoffLen.Models.Llama;

namespace CutoffLen.Checkpoints;

/// <summary>
/// quantization_config of config.json: transformers' BitsAndBytesConfig with nf4. Each tensor says by itself whether it is
/// quantized, in what blocks, and whether its scales are (llm_int8_skip_modules, bnb_4bit_use_double_quant).
/// </summary>
internal static class QuantizationKeys
{
    private const string Key = "quantization_config";
    private const string Method = "bitsandbytes";

    /// <summary>Keys that say how weights were chosen, what transformers computes with (here --dtype says it), or how 8 bits are computed.</summary>
    private static readonly string[] Unused =
    [
        "load_in_4bit", "_load_in_4bit", "_load_in_8bit", "bnb_4bit_use_double_quant", "bnb_4bit_compute_dtype", "llm_int8_skip_modules",
        "llm_int8_threshold", "llm_int8_enable_fp32_cpu_offload", "llm_int8_has_fp16_weight",
    ];

    /// <summary>How the projections are stored; null where they are floating point numbers.</summary>
    public static Quantization? Read(JsonKeys reader)
    {
        if (reader.Node(Key) is not { } node || node.IsUnset())
        {
            return null;
        }

        if (node is not JsonObject json || (json["quant_method"] ?? Method).AsText() != Method || (json["load_in_4bit"] ?? json["_load_in_4bit"]).AsFlag() != true)
        {
            return reader.Wrong<Quantization?>(
                Key, node, $"none, or quant_method {Method} with load_in_4bit (nf4): other quantized weights are not supported, save the model unquantized", null);
        }

        var keys = new JsonKeys(json);
        keys.Ignore([.. Unused, "quant_method"]);
        Require(keys, "bnb_4bit_quant_type", "nf4", absent: "fp4");
        Require(keys, "bnb_4bit_quant_storage", "uint8", absent: "uint8");
        if (keys.Flag("load_in_8bit", false))
        {
            keys.Problems.Add("\"load_in_8bit\" is true; allowed is false");
        }

        if (keys.Unread.Where(key => !json[key].IsUnset()).ToList() is { Count: > 0 } unknown)
        {
            keys.Problems.Add($"unknown keys: {string.Join(", ", unknown.Take(20).Select(JsonFile.Show))}");
        }

        reader.Problems.AddRange(keys.Problems.Select(problem => $"\"{Key}\": {problem}"));
        return Quantization.Nf4;
    }

    /// <summary>The keys of a configuration.</summary>
    public static IEnumerable<(string Key, JsonNode? Value)> Write(LlamaConfig config, string dtype)
    {
        if (config.Quantization is not null)
        {
            yield return (Key, new JsonObject
            {
                ["quant_method"] = Method,
                ["load_in_4bit"] = true,
                ["load_in_8bit"] = false,
                ["bnb_4bit_quant_type"] = "nf4",
                ["bnb_4bit_use_double_quant"] = true,
                ["bnb_4bit_compute_dtype"] = dtype,
                ["bnb_4bit_quant_storage"] = "uint8",
            });
        }
    }

    private static void Require(JsonKeys keys, string key, string allowed, string absent)
    {
        if ((keys.Text(key) ?? absent) is var text && text != allowed)
        {
            keys.Problems.Add($"\"{key}\" is {JsonFile.Show(text)}; allowed is {allowed}");
        }
    }
}
