using System.Text.Json.Nodes;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>
/// A checkpoint folder in Hugging Face's layout: config.json, safetensors (one file, or shards with an index),
/// generation_config.json and tokenizer files. Opening checks everything but the values of the weights, which it does not
/// read. An open checkpoint can be loaded several times.
/// </summary>
public sealed class HuggingFaceCheckpoint : IDisposable
{
    private const string ConfigFile = "config.json";
    private const string GenerationFile = "generation_config.json";

    private readonly WeightFiles weights;

    private HuggingFaceCheckpoint(string folder, JsonObject configJson, LlamaConfig config, JsonObject? generation, WeightFiles weights)
    {
        (Folder, ConfigJson, Config, GenerationConfig, this.weights) = (folder, configJson, config, generation, weights);
    }

    /// <summary>Where it is.</summary>
    public string Folder { get; }

    /// <summary>The GGUF file that the folder was made of; else the folder.</summary>
    public string Source => GgufCache.FileOf(Folder) ?? Folder;

    /// <summary>The architecture.</summary>
    public LlamaConfig Config { get; }

    /// <summary>config.json as it is.</summary>
    public JsonObject ConfigJson { get; }

    /// <summary>generation_config.json as it is, or null.</summary>
    public JsonObject? GenerationConfig { get; }

    /// <summary>The stored tensors, by name.</summary>
    public IReadOnlyDictionary<string, SafetensorsEntry> Tensors =>
        weights.Tensors.ToDictionary(tensor => tensor.Key, tensor => tensor.Value.Entry, StringComparer.Ordinal);

    /// <summary>The type that most of the stored numbers have; of a quantized model the embedding's.</summary>
    public ScalarType StoredDtype => Config.Quantization is not null ? weights.Tensors[LlamaParameters.Embedding].Entry.Dtype : weights.Tensors.Values
        .GroupBy(tensor => tensor.Entry.Dtype, tensor => tensor.Entry.Bytes).MaxBy(bytes => bytes.Sum())!.Key;

    /// <summary>llama.cpp's names of the types in a GGUF file, that of the most bytes first; none for safetensors.</summary>
    public IReadOnlyList<string> GgufTypes => weights.GgufTypes;

    /// <summary>Bytes of the stored tensors.</summary>
    public long StoredBytes => weights.Bytes;

    /// <summary>In how many files they are.</summary>
    public int FileCount => weights.FileCount;

    /// <summary>Tokens that end a text: generation_config.json's where it has any, else config.json's.</summary>
    public IReadOnlyList<int> EosTokenIds =>
        GenerationConfig is null ? Config.EosTokenIds
        : new JsonKeys(GenerationConfig).TokenIds("eos_token_id", Config.VocabSize) is { Length: > 0 } ids ? ids : Config.EosTokenIds;

    /// <summary>Opens a folder and checks it.</summary>
    /// <exception cref="UserException">All that is wrong with it, one line each.</exception>
    public static HuggingFaceCheckpoint Open(string folder)
    {
        CheckFolder(folder);
        var problems = new List<string>();
        var (json, config) = ReadConfig(Path.Combine(folder, ConfigFile), problems);
        var generation = ReadGeneration(Path.Combine(folder, GenerationFile), config, problems);
        var weights = WeightFiles.Open(folder, config, problems);
        if (problems.Count == 0)
        {
            weights.Compare(config, folder, problems);
            config = WithPositionTensors(config, weights, problems);
        }

        if (problems.Count > 0)
        {
            weights.Dispose();
            throw new UserException(string.Join('\n', problems));
        }

        return new HuggingFaceCheckpoint(folder, json, config, generation, weights);
    }

    /// <summary>Whether a path is a config.json, or a folder with one and without any weights or adapters.</summary>
    public static bool IsConfigurationAlone(string path) =>
        (File.Exists(path) && path.EndsWith(".json", StringComparison.Ordinal))
        || (File.Exists(Path.Combine(path, ConfigFile)) && !AdapterCheckpoint.ExistsIn(path) && !WeightFiles.AreIn(path));

    /// <summary>The architecture alone, where there are no weights yet.</summary>
    /// <param name="path">A config.json, or the folder that holds it.</param>
    /// <param name="folder">The folder it lies in.</param>
    /// <exception cref="UserException">All that is wrong with it, one line each.</exception>
    public static LlamaConfig ReadConfig(string path, out string folder)
    {
        var problems = new List<string>();
        var file = Directory.Exists(path) ? Path.Combine(path, ConfigFile) : path;
        var (_, config) = ReadConfig(file, problems);
        folder = Path.GetDirectoryName(Path.GetFullPath(file))!;
        return problems.Count == 0 ? config : throw new UserException(string.Join('\n', problems));
    }

    private static LlamaConfig WithPositionTensors(LlamaConfig config, WeightFiles weights, List<string> problems)
    {
        try
        {
            return config with { Clex = weights.Clex(), PairRanks = weights.OrderOfPairs(config) };
        }
        catch (UserException fault)
        {
            problems.Add(fault.Message);
            return config;
        }
    }

    private static void CheckFolder(string folder)
    {
        if (AtomicFolder.InterruptedPrevious(folder) is { } previous)
        {
            throw new UserException($"{folder}: a save was interrupted; the checkpoint before it is whole in {previous}, rename it back");
        }

        if (!Directory.Exists(folder))
        {
            throw new UserException(File.Exists(folder)
                ? $"{folder}: is a file; give the folder with config.json and the weights, or a .gguf file"
                : $"{folder}: no such folder; give one with config.json and safetensors files, or a .gguf file");
        }
    }

    private static (JsonObject Json, LlamaConfig Config) ReadConfig(string path, List<string> problems)
    {
        var json = new JsonObject();
        var found = new List<string>();
        try
        {
            json = JsonFile.ReadObject(path);
        }
        catch (UserException fault)
        {
            problems.Add(fault.Message);
            return (json, LlamaConfigFile.Read(json, []));
        }

        var config = LlamaConfigFile.Read(json, found);
        problems.AddRange(found.Select(problem => $"{path}: {problem}"));
        return (json, config);
    }

    private static JsonObject? ReadGeneration(string path, LlamaConfig config, List<string> problems)
    {
        try
        {
            var json = File.Exists(path) ? JsonFile.ReadObject(path) : null;
            var reader = new JsonKeys(json ?? []);
            _ = reader.TokenIds("eos_token_id", config.VocabSize);
            problems.AddRange(reader.Problems.Select(problem => $"{path}: {problem}"));
            return json;
        }
        catch (UserException fault)
        {
            problems.Add(fault.Message);
            return null;
        }
    }

    /// <summary>Builds the model around the stored weights.</summary>
    /// <param name="device">Where it shall be; null for the CPU.</param>
    /// <param name="dtype">Type of its weights; null for the stored one. The stored one on the CPU is not read but mapped.</param>
    public LlamaForCausalLM Load(Device? device = null, ScalarType? dtype = null) => new(Config, Weights(device, dtype));

    /// <summary>Hands out each weight once, in the wanted dtype and on the wanted device.</summary>
    /// <param name="device">Where they shall be; null for the CPU.</param>
    /// <param name="dtype">Their type; null for the stored one.</param>
    /// <param name="quantization">How projections shall be kept; null, and of a model that is stored quantized, as they are stored.</param>
    public WeightSource Weights(Device? device = null, ScalarType? dtype = null, Quantization? quantization = null)
    {
        weights.CheckTiedHead();
        var quantizes = quantization is not null && Config.Quantization is null;
        var source = weights.Source(dtype ?? StoredDtype, device ?? CPU, ownMaps: quantizes);
        return quantizes ? Nf4Weight.Source(source) : source;
    }

    /// <summary>Unmaps the weights. Loaded models stay valid, and the checkpoint can be loaded again.</summary>
    public void Unmap() => weights.Dispose();

    /// <summary>Unmaps the weights. Loaded models stay valid.</summary>
    public void Dispose() => Unmap();
}
