using CutoffLen.Models;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>
/// Adapters in PEFT's layout: adapter_config.json and adapter_model.safetensors, whose names have the prefix
/// base_model.model. Beside them lie config.json with the positions that the adapters were trained for, which PEFT does
/// not look at, and the tokenizer.
/// </summary>
public static class AdapterCheckpoint
{
    private const string WeightsFile = "adapter_model.safetensors";
    private const string Prefix = "base_model.model.";

    /// <summary>Whether a folder holds adapters.</summary>
    public static bool ExistsIn(string folder) => File.Exists(Path.Combine(folder, AdapterConfig.FileName));

    /// <summary>Saves adapters, whole or not at all.</summary>
    /// <param name="folder">Created, or replaced when it holds a checkpoint of ours.</param>
    /// <param name="adapters">Their settings.</param>
    /// <param name="weights">Names without PEFT's prefix, and values.</param>
    /// <param name="config">The model's architecture, with the positions that were trained.</param>
    /// <param name="source">The base model's folder, or null.</param>
    /// <param name="extraFiles">More files for the folder: name, and what writes it to a path.</param>
    /// <exception cref="UserException">The folder holds other files, or the file system refuses.</exception>
    public static void Save(
        string folder, AdapterConfig adapters, IReadOnlyList<(string Name, Tensor Tensor)> weights, LlamaConfig config,
        string? source = null, IReadOnlyDictionary<string, Action<string>>? extraFiles = null)
    {
        var extra = extraFiles ?? new Dictionary<string, Action<string>>();
        AtomicFolder.Write(folder, IsOurs, staged =>
        {
            CheckpointWriter.WriteSettings(staged, config, weights[0].Tensor.dtype, source);
            CheckpointWriter.WriteJson(Path.Combine(staged, AdapterConfig.FileName), adapters.ToJson());
            SafetensorsWriter.WriteInPlace(Path.Combine(staged, WeightsFile), [.. weights.Select(w => (Prefix + w.Name, w.Tensor))], dtype: null);
            foreach (var (name, write) in extra)
            {
                write(Path.Combine(staged, name));
            }
        });

        bool IsOurs(string name) =>
            name is AdapterConfig.FileName or WeightsFile || CheckpointWriter.IsOurs(name) || extra.ContainsKey(name);
    }

    /// <summary>The base model's architecture with the positions that the adapters were trained for.</summary>
    /// <param name="folder">The adapters; without a config.json of ours the base model's positions stay.</param>
    /// <param name="baseModel">The base model.</param>
    public static LlamaConfig PositionsOf(string folder, LlamaConfig baseModel)
    {
        var path = Path.Combine(folder, "config.json");
        if (!File.Exists(path))
        {
            return baseModel;
        }

        var problems = new List<string>();
        var config = LlamaConfigFile.Read(JsonFile.ReadObject(path), problems);
        return problems.Count == 0
            ? baseModel.With(config.PositionConfig)
            : throw new UserException(string.Join('\n', problems.Select(problem => $"{path}: {problem}")));
    }

    /// <summary>Copies saved adapters into tensors of the same names.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="views">Every name that must be there, without PEFT's prefix, and where its values go.</param>
    /// <exception cref="UserException">A tensor is missing, is one too many, or has another shape.</exception>
    public static void LoadInto(string folder, IReadOnlyList<(string Name, Tensor View)> views)
    {
        using var noGrad = no_grad();
        using var file = SafetensorsFile.Open(Path.Combine(folder, WeightsFile));
        var stored = file.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        foreach (var (name, view) in views)
        {
            using var scope = NewDisposeScope();
            if (!stored.Remove(Prefix + name, out var entry) || !entry.Shape.AsSpan().SequenceEqual(view.shape))
            {
                throw new UserException($"{file.Path}: has no {JsonFile.Show(Prefix + name)} of shape [{string.Join(", ", view.shape)}]");
            }

            view.copy_(file.Read(entry.Name, view.dtype, view.device));
        }

        if (stored.Count > 0)
        {
            throw new UserException($"{file.Path}: the model has no place for {string.Join(", ", stored.Keys.Take(4).Select(JsonFile.Show))}");
        }
    }
}
