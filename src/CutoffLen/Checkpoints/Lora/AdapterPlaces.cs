using CutoffLen.Common;
using CutoffLen.Models.Llama;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>What adapters bring to a model: pairs of low-rank factors, and weights that were trained whole.</summary>
/// <param name="Factors">The projections with adapters, and the shapes of their A [r, in] and B [out, r].</param>
/// <param name="Whole">The weights, with their shapes.</param>
public sealed record AdapterPlaces(
    IReadOnlyList<(string Projection, long[] A, long[] B)> Factors, IReadOnlyList<(string Name, long[] Shape)> Whole)
{
    /// <summary>The name of a projection's A, without PEFT's prefix.</summary>
    public static string A(string projection) => projection + ".lora_A.weight";

    /// <summary>The name of a projection's B, without PEFT's prefix.</summary>
    public static string B(string projection) => projection + ".lora_B.weight";

    /// <summary>The names and shapes of all tensors.</summary>
    public IEnumerable<(string Name, long[] Shape)> Tensors =>
        [.. Factors.SelectMany(place => new[] { (A(place.Projection), place.A), (B(place.Projection), place.B) }), .. Whole];

    /// <summary>Finds the places in a model.</summary>
    /// <exception cref="UserException">The model lacks a module that is named.</exception>
    public static AdapterPlaces Of(LlamaConfig config, AdapterConfig adapters)
    {
        var factors = new List<(string, long[], long[])>();
        var whole = new List<(string, long[])>();
        foreach (var (name, shape) in LlamaParameters.Of(config))
        {
            var module = name[..name.LastIndexOf('.')];
            var last = module[(module.LastIndexOf('.') + 1)..];
            if (adapters.ModulesToSave.Contains(last))
            {
                whole.Add((name, shape));
            }
            else if (adapters.TargetModules.Contains(last) && shape.Length == 2)
            {
                factors.Add((module, [adapters.R, shape[1]], [shape[0], adapters.R]));
            }
        }

        CheckFound("lora_target_modules", adapters.TargetModules, factors.Select(place => place.Item1));
        CheckFound("modules_to_save", adapters.ModulesToSave, whole.Select(weight => weight.Item1[..weight.Item1.LastIndexOf('.')]));
        return new AdapterPlaces(factors, whole);
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
