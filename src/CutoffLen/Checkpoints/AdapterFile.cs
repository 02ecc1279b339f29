using CutoffLen.Checkpoints.Lora;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>adapter_model.safetensors, in which exactly the tensors of an adapter are. Names have no prefix here.</summary>
internal sealed class AdapterFile : IDisposable
{
    /// <summary>The file's name.</summary>
    public const string FileName = "adapter_model.safetensors";

    /// <summary>What PEFT puts before each name.</summary>
    public const string Prefix = "base_model.model.";

    private const string PickledFile = "adapter_model.bin";

    private readonly SafetensorsFile file;
    private readonly Dictionary<string, string> replacements = new(StringComparer.Ordinal); // base parameter to stored tensor
    private readonly List<(string Name, string Of, bool IsTransposed)> tiedCopies = [];

    private AdapterFile(SafetensorsFile file) => this.file = file;

    /// <summary>Opens the file.</summary>
    /// <param name="folder">The adapters.</param>
    /// <param name="baseModel">The base model's architecture.</param>
    /// <param name="tensors">What must be in the file.</param>
    /// <param name="config">What adapter_config.json says.</param>
    /// <exception cref="UserException">A tensor is missing, is one too many, or has another shape.</exception>
    public static AdapterFile Open(string folder, LlamaConfig baseModel, AdapterTensors tensors, AdapterConfig config)
    {
        var opened = new AdapterFile(OpenSafetensors(folder));
        if (opened.Assign(baseModel, tensors, config) is { } fault)
        {
            opened.Dispose();
            throw new UserException($"{opened.file.Path}: {fault}");
        }

        return opened;
    }

    /// <summary>Where the file is.</summary>
    public string Path => file.Path;

    /// <summary>The modules of which the file has an adapter. PEFT gives the others a new one, which changes nothing.</summary>
    public IReadOnlyList<LoraModule> TargetModules { get; private set; } = [];

    /// <summary>The stored tensor that replaces a parameter of the base model: modules_to_save, trained biases; or null.</summary>
    public string? ReplacementOf(string parameter) => replacements.GetValueOrDefault(parameter);

    /// <summary>Reads a tensor.</summary>
    public Tensor Read(string name, ScalarType dtype, Device device) => file.Read(Prefix + name, dtype, device);

    /// <summary>Tensors read before and after share no memory.</summary>
    public void ForgetMaps() => file.ForgetMaps();

    /// <summary>A head that is tied to the embedding may be stored too, and must be the same.</summary>
    /// <exception cref="UserException">It is another.</exception>
    public void CheckTied()
    {
        foreach (var (name, of, isTransposed) in tiedCopies)
        {
            using var scope = NewDisposeScope();
            var (copy, original) = (file.Read(Prefix + name, ScalarType.Float32), file.Read(Prefix + of, ScalarType.Float32));
            if (!copy.eq(isTransposed ? original.t() : original).all().item<bool>())
            {
                throw new UserException($"{file.Path}: {name} differs from {of}, but the head is tied to the embedding");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private static SafetensorsFile OpenSafetensors(string folder)
    {
        var path = System.IO.Path.Combine(folder, FileName);
        return !File.Exists(path) && File.Exists(System.IO.Path.Combine(folder, PickledFile))
            ? throw new UserException($"{folder}: has no {FileName}. " + PickledWeights.Advice(
                PickledFile,
                "import torch; from safetensors.torch import save_file; "
                + $"save_file({{k: v.contiguous().clone() for k, v in torch.load('{folder}/{PickledFile}', map_location='cpu', weights_only=True).items()}}, '{path}')"))
            : SafetensorsFile.Open(path);
    }

    /// <summary>Finds the place of every tensor; what is wrong, or null.</summary>
    private string? Assign(LlamaConfig baseModel, AdapterTensors tensors, AdapterConfig config)
    {
        if (file.Tensors.FirstOrDefault(tensor => !WeightFiles.IsWeight(tensor.Dtype)) is { } other)
        {
            return $"{JsonFile.Show(other.Name)} is {SafetensorsHeader.Describe(other.Dtype).Name}; weights are BF16, F16 or F32";
        }

        var stored = file.Tensors.ToDictionary(tensor => tensor.Name, tensor => tensor.Shape, StringComparer.Ordinal);
        var present = tensors.TargetModules.Where(module => TensorsOf(module, config).Any(tensor => stored.ContainsKey(Prefix + tensor.Name))).ToList();
        TargetModules = present.Count > 0 && config.NewChangesNothing ? present : tensors.TargetModules;
        foreach (var (name, shape) in TargetModules.SelectMany(module => TensorsOf(module, config)).Concat(tensors.ModulesToSave))
        {
            if (!Take(name, shape))
            {
                return $"has no {JsonFile.Show(Prefix + name)} of shape [{string.Join(", ", shape)}]"
                    + (stored.TryGetValue(Prefix + name, out var found) ? $"; it has shape [{string.Join(", ", found)}]" : "");
            }
        }

        foreach (var (name, _) in tensors.ModulesToSave)
        {
            replacements.Add(name, name);
        }

        foreach (var (parameter, name, shape) in BaseParameters(baseModel, tensors))
        {
            if (Take(name, shape))
            {
                replacements.Add(parameter, name);
            }
        }

        if (tensors.TiedHead is { } head && tensors.TargetModules.Single(module => module.IsEmbedding) is var embedding)
        {
            TakeTransposed(head.A, embedding.B.Name);
            TakeTransposed(head.B, embedding.A.Name);
        }

        if (baseModel.TieWordEmbeddings)
        {
            ShareTied(tensors);
        }

        return stored.Count == 0 ? null : $"the model has no place for {string.Join(", ", stored.Take(4).Select(tensor => $"{JsonFile.Show(tensor.Key)} of shape [{string.Join(", ", tensor.Value)}]"))}";

        bool Take(string name, long[] shape) =>
            stored.TryGetValue(Prefix + name, out var found) && found.AsSpan().SequenceEqual(shape) && stored.Remove(Prefix + name);

        void TakeTransposed((string Name, long[] Shape) copy, string of)
        {
            if (Take(copy.Name, copy.Shape))
            {
                tiedCopies.Add((copy.Name, of, IsTransposed: true));
            }
        }
    }

    private static IEnumerable<(string Name, long[] Shape)> TensorsOf(LoraModule module, AdapterConfig config) =>
        [module.A, module.B, .. config.LoraBias ? [module.LoraBias] : Array.Empty<(string, long[])>(), .. config.UseDora ? [module.Magnitude] : Array.Empty<(string, long[])>()];

    /// <summary>
    /// Parameters of the base model, and the names under which PEFT loads them from an adapter's file: trained biases (bias: all,
    /// lora_only), embedding and head (save_embedding_layers).
    /// </summary>
    private static IEnumerable<(string Parameter, string Name, long[] Shape)> BaseParameters(LlamaConfig baseModel, AdapterTensors tensors)
    {
        var adapted = tensors.TargetModules.Append(tensors.TiedHead).Select(module => module?.Name).ToHashSet();
        var saved = tensors.ModulesToSave.Select(parameter => parameter.Name).ToHashSet(StringComparer.Ordinal);
        return LlamaParameters.Of(baseModel with { TieWordEmbeddings = false }).Where(parameter => !saved.Contains(parameter.Name)).Select(parameter =>
        {
            var dot = parameter.Name.LastIndexOf('.');
            var (module, last) = (parameter.Name[..dot], parameter.Name[dot..]);
            return (parameter.Name, adapted.Contains(module) ? $"{module}.base_layer{last}" : parameter.Name, parameter.Shape);
        });
    }

    /// <summary>Embedding and head are one parameter of the base model: what replaces one replaces both.</summary>
    private void ShareTied(AdapterTensors tensors)
    {
        var isBase = !tensors.ModulesToSave.Any(parameter => parameter.Name is LlamaParameters.Embedding or LlamaParameters.Head);
        var (embedding, head) = (ReplacementOf(LlamaParameters.Embedding), ReplacementOf(LlamaParameters.Head));
        if (embedding is not null && head is not null)
        {
            if (isBase || tensors.KeepsTie)
            {
                tiedCopies.Add((head, embedding, IsTransposed: false));
            }
        }
        else if (isBase && (embedding ?? head) is { } either)
        {
            (replacements[LlamaParameters.Embedding], replacements[LlamaParameters.Head]) = (either, either);
        }
    }
}
