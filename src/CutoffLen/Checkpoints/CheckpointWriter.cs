using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>Writes checkpoint folders that Hugging Face's transformers read back, whole or not at all.</summary>
public static class CheckpointWriter
{
    /// <summary>Hugging Face's default size of a shard (bytes).</summary>
    public const long DefaultShardBytes = 5_000_000_000;

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Files that belong to the tokenizer and are copied as they are.</summary>
    private static readonly string[] TokenizerFiles =
    [
        "tokenizer.model", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json",
    ];

    /// <summary>Saves a model.</summary>
    /// <param name="folder">Created, or replaced when it is a checkpoint; a folder with other files is not touched.</param>
    /// <param name="config">The architecture, with the positions that the weights are meant for.</param>
    /// <param name="weights">Every parameter under its Hugging Face name, on any device; a model's <c>named_parameters()</c>.</param>
    /// <param name="dtype">The type to store; null for each weight's own.</param>
    /// <param name="source">The checkpoint folder to take tokenizer and generation settings from, or null.</param>
    /// <param name="maxShardBytes">Size from which weights are split into several files.</param>
    /// <param name="extraFiles">More files for the folder: name, and what writes it to a path.</param>
    /// <exception cref="UserException">The folder holds other files, or the file system refuses.</exception>
    public static void Save(
        string folder,
        LlamaConfig config,
        IEnumerable<(string Name, Tensor Tensor)> weights,
        ScalarType? dtype = null,
        string? source = null,
        long maxShardBytes = DefaultShardBytes,
        IReadOnlyDictionary<string, Action<string>>? extraFiles = null)
    {
        var ordered = InOrder(config, weights);
        var extra = extraFiles ?? new Dictionary<string, Action<string>>();
        AtomicFolder.Write(folder, name => IsOurs(name) || extra.ContainsKey(name), staged =>
        {
            WriteSettings(staged, config with { Quantization = null }, dtype ?? ordered[0].Tensor.dtype, source);
            using (NewDisposeScope())
            {
                WriteWeights(staged, [.. ordered, .. PositionTensorsOf(config)], dtype, maxShardBytes);
            }

            foreach (var (name, write) in extra)
            {
                write(Path.Combine(staged, name));
            }
        });
    }

    /// <summary>Everything but the weights: config.json, generation_config.json, the tokenizer.</summary>
    internal static void WriteSettings(string staged, LlamaConfig config, ScalarType dtype, string? source)
    {
        WriteConfig(staged, config, dtype, source);
        CopyTokenizer(staged, source);
    }

    private static List<(string Name, Tensor Tensor)> InOrder(LlamaConfig config, IEnumerable<(string Name, Tensor Tensor)> weights)
    {
        var byName = weights.ToDictionary(weight => weight.Name, weight => weight.Tensor, StringComparer.Ordinal);
        var ordered = new List<(string, Tensor)>(byName.Count);
        foreach (var (name, shape) in LlamaParameters.Of(config))
        {
            if (!byName.Remove(name, out var tensor) || !tensor.shape.AsSpan().SequenceEqual(shape) || !tensor.is_floating_point())
            {
                throw new ArgumentException($"no floating point weight {name} of shape [{string.Join(", ", shape)}]", nameof(weights));
            }

            ordered.Add((name, tensor));
        }

        return byName.Count == 0
            ? ordered
            : throw new ArgumentException($"the configuration has no {string.Join(", ", byName.Keys)}", nameof(weights));
    }

    /// <summary>What position methods keep in a checkpoint: the weights of CLEX's equation and DPE's order of the pairs, which are no parameters of the network.</summary>
    private static IEnumerable<(string Name, Tensor Tensor)> PositionTensorsOf(LlamaConfig config)
    {
        if (config.Clex is { } clex)
        {
            yield return (WeightFiles.ClexUp, tensor(clex.Up).view(-1, clex.Width));
            yield return (WeightFiles.ClexDown, tensor(clex.Down).view(clex.Width, -1));
        }

        if (config.PairRanks is { } ranks)
        {
            yield return (WeightFiles.PairRanks, tensor(ranks).view(config.NumHiddenLayers, config.NumAttentionHeads, -1));
        }
    }

    /// <summary>Whether a file of this name belongs to a checkpoint.</summary>
    internal static bool IsOurs(string name) =>
        name is "config.json" or "generation_config.json" or ShardIndex.FileName
        || TokenizerFiles.Contains(name)
        || (name.StartsWith("model", StringComparison.Ordinal) && name.EndsWith(".safetensors", StringComparison.Ordinal));

    private static void WriteConfig(string staged, LlamaConfig config, ScalarType dtype, string? source)
    {
        var original = source is null ? null : Path.Combine(source, "config.json");
        var json = LlamaConfigFile.Write(config, Name(dtype), File.Exists(original) ? JsonFile.ReadObject(original) : null);
        WriteJson(Path.Combine(staged, "config.json"), json);
        var generation = Path.Combine(staged, "generation_config.json");
        if (!TryCopy(source, "generation_config.json", generation))
        {
            WriteJson(generation, new JsonObject
            {
                ["_from_model_config"] = true,
                ["bos_token_id"] = json["bos_token_id"]?.DeepClone(),
                ["eos_token_id"] = json["eos_token_id"]?.DeepClone(),
            });
        }
    }

    private static string Name(ScalarType dtype) => dtype switch
    {
        ScalarType.BFloat16 => "bfloat16",
        ScalarType.Float16 => "float16",
        ScalarType.Float32 => "float32",
        _ => throw new ArgumentException($"weights are not saved as {dtype}", nameof(dtype)),
    };

    private static void CopyTokenizer(string staged, string? source)
    {
        foreach (var name in TokenizerFiles)
        {
            TryCopy(source, name, Path.Combine(staged, name));
        }
    }

    /// <summary>Copies the bytes only: the permissions of the original may be read-only.</summary>
    private static bool TryCopy(string? source, string name, string path)
    {
        if (source is null || !File.Exists(Path.Combine(source, name)))
        {
            return false;
        }

        using var from = File.OpenRead(Path.Combine(source, name));
        using var to = File.Create(path);
        from.CopyTo(to);
        return true;
    }

    internal static void WriteJson(string path, JsonObject json) => File.WriteAllText(path, json.ToJsonString(Indented) + "\n");

    private static void WriteWeights(string staged, List<(string Name, Tensor Tensor)> weights, ScalarType? dtype, long maxShardBytes)
    {
        var bytes = weights.ConvertAll(weight => SafetensorsWriter.StoredBytes(weight.Tensor, dtype));
        var shards = ShardIndex.Plan(bytes, maxShardBytes);
        var count = shards[^1] + 1;
        if (count == 1)
        {
            SafetensorsWriter.WriteInPlace(Path.Combine(staged, ShardIndex.SingleFile), weights, dtype);
            return;
        }

        for (var shard = 0; shard < count; shard++)
        {
            var part = weights.Where((_, at) => shards[at] == shard).ToList();
            SafetensorsWriter.WriteInPlace(Path.Combine(staged, ShardIndex.ShardName(shard + 1, count)), part, dtype);
        }

        var places = weights.Select((weight, at) => (weight.Name, ShardIndex.ShardName(shards[at] + 1, count)));
        WriteJson(Path.Combine(staged, ShardIndex.FileName), ShardIndex.Write(places, bytes.Sum()));
    }
}
