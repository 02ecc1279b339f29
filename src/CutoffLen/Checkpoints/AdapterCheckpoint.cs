using CutoffLen.Checkpoints.Lora;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>
/// Adapters in PEFT's layout: adapter_config.json and adapter_model.safetensors, whose names have the prefix
/// base_model.model. The folder also has the tokenizer, and a config.json with the positions that the adapters were
/// trained for and the base model's quantization, which PEFT ignores.
/// <para>
/// On a base model that ties embedding and head, PEFT reads an embedding of modules_to_save as the input's alone. So a trained
/// tied embedding is written twice, as embed_tokens and as lm_head: every version of PEFT reads the same numbers. Since 0.19
/// ensure_weight_tying keeps the two one weight.
/// </para>
/// </summary>
public static class AdapterCheckpoint
{
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
        if (adapters.EnsureWeightTying && config.TieWordEmbeddings && weights.FirstOrDefault(weight => weight.Name == LlamaParameters.Embedding).Tensor is { } tied)
        {
            weights = [.. weights, (LlamaParameters.Head, tied)];
        }

        AtomicFolder.Write(folder, IsOurs, staged =>
        {
            CheckpointWriter.WriteSettings(staged, config, weights[0].Tensor.dtype, source);
            CheckpointWriter.WriteJson(Path.Combine(staged, AdapterConfig.FileName), adapters.ToJson());
            SafetensorsWriter.WriteInPlace(Path.Combine(staged, AdapterFile.FileName), [.. weights.Select(w => (AdapterFile.Prefix + w.Name, w.Tensor))], dtype: null);
            foreach (var (name, write) in extra)
            {
                write(Path.Combine(staged, name));
            }
        });

        bool IsOurs(string name) =>
            name is AdapterConfig.FileName or AdapterFile.FileName || CheckpointWriter.IsOurs(name) || extra.ContainsKey(name);
    }

    /// <summary>The base model's architecture with the positions and the quantization that the adapters were trained for.</summary>
    /// <param name="folder">The adapters; without a config.json of ours the base model's stay.</param>
    /// <param name="baseModel">The base model.</param>
    public static LlamaConfig TrainedFor(string folder, LlamaConfig baseModel)
    {
        var path = Path.Combine(folder, "config.json");
        if (!File.Exists(path))
        {
            return baseModel;
        }

        var problems = new List<string>();
        var config = LlamaConfigFile.Read(JsonFile.ReadObject(path), problems);
        return problems.Count == 0
            ? baseModel.With(config.PositionConfig) with { Quantization = baseModel.Quantization ?? config.Quantization }
            : throw new UserException(string.Join('\n', problems.Select(problem => $"{path}: {problem}")));
    }
}
