using CutoffLen.Checkpoints.Lora;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>
/// Adapters in PEFT's layout: adapter_config.json and adapter_model.safetensors, whose names have the prefix
/// base_model.model. The folder also has the tokenizer, and a config.json with the positions that the adapters were
/// trained for, which PEFT ignores.
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
        using var file = OpenWeights(folder, views.Select(view => (view.Name, view.View.shape)));
        foreach (var (name, view) in views)
        {
            using var scope = NewDisposeScope();
            view.copy_(file.Read(Prefix + name, view.dtype, view.device));
        }
    }

    /// <summary>
    /// The model with the adapters merged into its weights: W + scale * B A, summed in float32 and rounded once to the
    /// weight's dtype. Modules to save replace the base model's.
    /// </summary>
    /// <param name="folder">The adapters.</param>
    /// <param name="config">The base model's architecture.</param>
    /// <param name="adapters">What adapter_config.json says.</param>
    /// <param name="weights">The base model's weights.</param>
    /// <exception cref="UserException">A tensor is missing, is one too many, or has another shape; a module is unknown.</exception>
    public static LlamaForCausalLM LoadMerged(string folder, LlamaConfig config, AdapterConfig adapters, WeightSource weights)
    {
        var tensors = AdapterTensors.Of(config, adapters);
        using var file = OpenWeights(folder, tensors.All);
        var saved = tensors.ModulesToSave.Select(weight => weight.Name).ToHashSet(StringComparer.Ordinal);
        var projections = tensors.TargetModules.ToDictionary(module => module.Projection + ".weight", module => module.Projection, StringComparer.Ordinal);
        return new LlamaForCausalLM(config, (name, shape) =>
        {
            if (!saved.Contains(name) && !projections.ContainsKey(name))
            {
                return weights(name, shape);
            }

            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            var weight = weights(name, shape);
            Tensor Read(string stored, ScalarType dtype) => file.Read(Prefix + stored, dtype, weight.device);
            var merged = projections.TryGetValue(name, out var projection)
                ? Read(AdapterTensors.B(projection), ScalarType.Float32).mm(Read(AdapterTensors.A(projection), ScalarType.Float32))
                    .mul_(Kept(adapters.Scale)).add_(weight).to(weight.dtype)
                : Read(name, weight.dtype);
            file.ForgetMaps();
            return merged.MoveToOuterDisposeScope();
        });
    }

    /// <summary>Checks that a folder's tensors are those that its settings mean, without reading them.</summary>
    /// <exception cref="UserException">As <see cref="LoadMerged"/>.</exception>
    public static void Check(string folder, LlamaConfig config, AdapterConfig adapters) =>
        OpenWeights(folder, AdapterTensors.Of(config, adapters).All).Dispose();

    /// <summary>The adapters' file, in which exactly the expected tensors are.</summary>
    private static SafetensorsFile OpenWeights(string folder, IEnumerable<(string Name, long[] Shape)> expected)
    {
        var file = SafetensorsFile.Open(Path.Combine(folder, WeightsFile));
        var stored = file.Tensors.ToDictionary(tensor => tensor.Name, StringComparer.Ordinal);
        var missing = expected.Where(tensor => !stored.Remove(Prefix + tensor.Name, out var entry) || !entry.Shape.AsSpan().SequenceEqual(tensor.Shape))
            .Select(tensor => $"has no {JsonFile.Show(Prefix + tensor.Name)} of shape [{string.Join(", ", tensor.Shape)}]").FirstOrDefault();
        var fault = missing
            ?? (stored.Count == 0 ? null : $"the model has no place for {string.Join(", ", stored.Keys.Take(4).Select(JsonFile.Show))}");
        if (fault is not null)
        {
            file.Dispose();
            throw new UserException($"{file.Path}: {fault}");
        }

        return file;
    }
}
