using CutoffLen.Common;
using CutoffLen.Models.Llama;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>The tensors of LoRA adapters: A and B of every target module, and the weights of the modules to save.</summary>
/// <param name="TargetModules">The projections with adapters, and the shapes of their A [r, in] and B [out, r].</param>
/// <param name="ModulesToSave">The weights that are trained whole, with their shapes.</param>
public sealed record AdapterTensors(
    IReadOnlyList<(string Projection, long[] A, long[] B)> TargetModules, IReadOnlyList<(string Name, long[] Shape)> ModulesToSave)
{
    /// <summary>The name of a projection's A, without PEFT's prefix.</summary>
    public static string A(string projection) => projection + ".lora_A.weight";

    /// <summary>The name of a projection's B, without PEFT's prefix.</summary>
    public static string B(string projection) => projection + ".lora_B.weight";

    /// <summary>The names and shapes of all tensors.</summary>
    public IEnumerable<(string Name, long[] Shape)> All =>
        [.. TargetModules.SelectMany(module => new[] { (A(module.Projection), module.A), (B(module.Projection), module.B) }), .. ModulesToSave];

    /// <summary>The tensors for a model.</summary>
    /// <exception cref="UserException">The model lacks a module that is named.</exception>
    public static AdapterTensors Of(LlamaConfig config, AdapterConfig adapters)
    {
        var targets = new List<(string, long[], long[])>();
        var saved = new List<(string, long[])>();
        foreach (var (name, shape) in LlamaParameters.Of(config))
        {
            var module = name[..name.LastIndexOf('.')];
            var last = module[(module.LastIndexOf('.') + 1)..];
            if (adapters.ModulesToSave.Contains(last))
            {
                saved.Add((name, shape));
            }
            else if (adapters.TargetModules.Contains(last) && shape.Length == 2)
            {
                targets.Add((module, [adapters.R, shape[1]], [shape[0], adapters.R]));
            }
        }

        CheckFound("lora_target_modules", adapters.TargetModules, targets.Select(target => target.Item1));
        CheckFound("modules_to_save", adapters.ModulesToSave, saved.Select(weight => weight.Item1[..weight.Item1.LastIndexOf('.')]));
        return new AdapterTensors(targets, saved);
    }

    private static void CheckFound(string key, IReadOnlyList<string> wanted, IEnumerable<string> found)
    {
        var names = found.Select(name => name[(name.LastIndexOf('.') + 1)..]).ToHashSet();
        if (wanted.Where(name => !names.Contains(name)).ToList() is { Count: > 0 } missing)
        {
            throw new UserException(
                $"{key}: this model has no {string.Join(", ", missing)} to train{(missing.Contains("lm_head") ? " (its head is the embedding: name embed_tokens)" : "")}");
        }
    }
}
