using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Checkpoints;

/// <summary>
/// model.safetensors.index.json: which file of the folder holds which tensor. File names are names only: nothing that
/// could point outside the folder is accepted.
/// </summary>
internal static class ShardIndex
{
    /// <summary>Hugging Face's name of the index.</summary>
    public const string FileName = "model.safetensors.index.json";

    /// <summary>Hugging Face's name of a checkpoint's only file.</summary>
    public const string SingleFile = "model.safetensors";

    /// <summary>Hugging Face's name of one of several files.</summary>
    /// <param name="number">From 1.</param>
    /// <param name="count">How many files there are.</param>
    public static string ShardName(int number, int count) => $"model-{number:D5}-of-{count:D5}.safetensors";

    /// <summary>Reads the index: tensor name to file name, each of them a plain name in the folder.</summary>
    public static Dictionary<string, string> Read(string path)
    {
        if (JsonFile.ReadObject(path, JsonFile.LargeFile)["weight_map"] is not JsonObject map || map.Count == 0)
        {
            throw new UserException($"{path}: needs \"weight_map\", an object of tensor names and file names");
        }

        var files = new Dictionary<string, string>(StringComparer.Ordinal);
        var shared = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (tensor, node) in map)
        {
            var file = PlainName(node) ?? throw new UserException(
                $"{path}: tensor {JsonFile.Show(tensor)} is said to be in {JsonFile.Show(node?.ToJsonString() ?? "null")}; "
                + "allowed is the name of a .safetensors file in the same folder, without a path");
            shared.TryAdd(file, file);
            files.Add(tensor, shared[file]);
        }

        return files;
    }

    private static string? PlainName(JsonNode? node) =>
        node.AsText() is { Length: <= 255 } name
        && name.EndsWith(".safetensors", StringComparison.Ordinal)
        && name.AsSpan().IndexOfAny("/\\:\0") < 0
            ? name
            : null;

    /// <summary>Splits tensors into shards in order, as Hugging Face does: a shard is closed before it would exceed the size.</summary>
    /// <param name="bytes">Bytes of each tensor.</param>
    /// <param name="maxShardBytes">A tensor larger than that gets a shard of its own.</param>
    /// <returns>For each tensor its shard, from 0.</returns>
    public static int[] Plan(IReadOnlyList<long> bytes, long maxShardBytes)
    {
        var shards = new int[bytes.Count];
        var used = 0L;
        for (var i = 0; i < shards.Length; i++)
        {
            var full = i > 0 && used + bytes[i] > maxShardBytes;
            shards[i] = (i > 0 ? shards[i - 1] : 0) + (full ? 1 : 0);
            used = full ? bytes[i] : used + bytes[i];
        }

        return shards;
    }

    /// <summary>The index as JSON, in Hugging Face's form.</summary>
    public static JsonObject Write(IEnumerable<(string Tensor, string File)> files, long totalBytes) => new()
    {
        ["metadata"] = new JsonObject { ["total_size"] = totalBytes },
        ["weight_map"] = new JsonObject(files.Select(pair =>
            KeyValuePair.Create(pair.Tensor, (JsonNode?)JsonValue.Create(pair.File)))),
    };
}
