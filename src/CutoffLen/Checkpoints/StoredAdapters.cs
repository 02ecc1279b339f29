using CutoffLen.Checkpoints.Lora;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using Serilog;
using static CutoffLen.Hardware.KeptScalars;
using static TorchSharp.torch;

namespace CutoffLen.Checkpoints;

/// <summary>
/// An adapter folder that fits its base model, read as PEFT reads it. Opening checks everything but the tensors' values.
/// </summary>
public sealed class StoredAdapters : IDisposable
{
    private readonly bool baseIsTied;
    private readonly AdapterTensors tensors;
    private readonly AdapterFile file;

    private StoredAdapters(AdapterConfig config, LlamaConfig baseModel, AdapterTensors tensors, AdapterFile file)
    {
        (Config, baseIsTied, this.tensors, this.file) = (config, baseModel.TieWordEmbeddings, tensors, file);
        Model = baseModel with { TieWordEmbeddings = tensors.KeepsTie };
    }

    /// <summary>What adapter_config.json says.</summary>
    public AdapterConfig Config { get; }

    /// <summary>
    /// The architecture of base model and adapters together: the positions and the quantization that were trained, and an untied
    /// head where embedding or head has an adapter of its own.
    /// </summary>
    public LlamaConfig Model { get; }

    /// <summary>Opens a folder.</summary>
    /// <param name="folder">The adapters.</param>
    /// <param name="baseModel">The base model's architecture.</param>
    /// <exception cref="UserException">All that is wrong: the settings, a tensor that is missing, too many, or of another shape.</exception>
    public static StoredAdapters Open(string folder, LlamaConfig baseModel)
    {
        var config = AdapterConfig.Read(folder);
        var model = AdapterCheckpoint.TrainedFor(folder, baseModel);
        if (model.Quantization is not null && config.BaseChange != BaseChange.None)
        {
            throw new UserException(
                $"{AdapterConfig.PathIn(folder)}: init_lora_weights {config.BaseChange.ToString().ToLowerInvariant()} takes a part from the base model's weights, "
                + "which are in 4 bits; merge the adapters into the model that was not quantized");
        }

        AdapterTensors tensors;
        try
        {
            tensors = AdapterTensors.Of(model, config);
        }
        catch (UserException fault)
        {
            throw new UserException($"{AdapterConfig.PathIn(folder)}: {fault.Message}", fault);
        }

        var file = AdapterFile.Open(folder, model, tensors, config);
        if (tensors.TargetModules.Except(file.TargetModules).ToList() is [var first, ..] missing)
        {
            Log.Warning(
                "{File:l}: has no adapter for {Count} of the {All} modules that target_modules means ({First:l}, ...); they stay as in the base model, as in PEFT",
                file.Path, missing.Count, tensors.TargetModules.Count, first.Name);
        }

        return new StoredAdapters(config, model, tensors, file);
    }

    /// <summary>The model with the adapters added into its weights (<see cref="LoraWeights.AddedTo"/>), none of them quantized any more.</summary>
    /// <param name="weights">The base model's weights, quantized as <see cref="Model"/> says.</param>
    public LlamaForCausalLM LoadMerged(WeightSource weights)
    {
        file.CheckTied();
        var modules = file.TargetModules.ToDictionary(module => module.Weight, StringComparer.Ordinal);
        var biases = Config.LoraBias ? file.TargetModules.ToDictionary(module => module.Bias, StringComparer.Ordinal) : [];
        return new LlamaForCausalLM(Model with { Quantization = null }, (name, shape) =>
        {
            using var noGrad = no_grad();
            using var scope = NewDisposeScope();
            var weight = BaseWeight(weights, name, shape).Dense();
            if (modules.TryGetValue(name, out var module))
            {
                weight = Adapter(module, weight.device).AddedTo(weight);
            }
            else if (biases.TryGetValue(name, out module))
            {
                weight = (file.Read(module.LoraBias.Name, ScalarType.Float32, weight.device) * Kept(module.Scale)).add_(weight).to(weight.dtype);
            }

            file.ForgetMaps();
            return weight.MoveToOuterDisposeScope();
        });
    }

    /// <summary>
    /// The model with the adapters as side branches (<see cref="AdapterBranch"/>), whose tensors belong to the current scope.
    /// </summary>
    /// <param name="weights">The base model's weights, quantized as <see cref="Model"/> says; DoRA, which needs their norms, dequantizes them.</param>
    public LlamaForCausalLM LoadBeside(WeightSource weights)
    {
        file.CheckTied();
        using var noGrad = no_grad();
        var model = new LlamaForCausalLM(Model, (name, shape) =>
        {
            var weight = BaseWeight(weights, name, shape);
            return Config.UseDora ? weight.Dense() : weight;
        });
        var parameters = model.named_parameters().ToDictionary(parameter => parameter.name, parameter => (Tensor)parameter.parameter);
        var branches = file.TargetModules.Select(module => (module.Name, Branch: Branch(module, parameters.GetValueOrDefault(module.Weight), model.Device))).ToList();
        model.EmbeddingAdapter = branches.Find(branch => branch.Name == WeightTying.Embedding).Branch;
        model.Attach(branches.Where(branch => branch.Name != WeightTying.Embedding).Select(branch => (branch.Name, (ILinearAdapter)branch.Branch)));
        if (tensors.TiedHead is { } head && file.TargetModules.FirstOrDefault(module => module.IsEmbedding) is { } adapted)
        {
            var embedding = Adapter(adapted, model.Device);
            model.HeadAdapter = new AdapterBranch(embedding with { Module = head, A = embedding.B.t(), B = embedding.A.t() }, model.HeadWeight, null);
        }

        return model;
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    private AdapterBranch Branch(LoraModule module, Tensor? weight, Device device) =>
        new(Adapter(module, device), weight, Config.LoraBias ? file.Read(module.LoraBias.Name, ScalarType.Float32, device) : null);

    private LoraWeights Adapter(LoraModule module, Device device)
    {
        return new LoraWeights(module, Read(module.A), Read(module.B), Config.UseDora ? Read(module.Magnitude) : null, Config.BaseChange);

        Tensor Read((string Name, long[] Shape) tensor) => file.Read(tensor.Name, ScalarType.Float32, device);
    }

    /// <summary>A weight of the base model, or what the adapters' file has in its place.</summary>
    private StoredWeight BaseWeight(WeightSource weights, string name, long[] shape)
    {
        var weight = weights(name == LlamaParameters.Head && baseIsTied ? LlamaParameters.Embedding : name, shape);
        return file.ReplacementOf(name) is { } stored && weight.Dense() is var replaced ? file.Read(stored, replaced.dtype, replaced.device) : weight;
    }
}
