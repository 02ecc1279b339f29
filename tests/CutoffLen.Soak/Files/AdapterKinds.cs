using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Lora;
using static TorchSharp.torch;

namespace CutoffLen.Soak.Files;

/// <summary>LoRA adapters on a tiny base. What loads must be W + scale * B A by plain arithmetic over the files.</summary>
internal abstract class AdapterKind(string name, string file) : DamagedKind(name, file)
{
    private const string Prefix = "base_model.model.";
    private const double Tolerance = 1e-5;

    private static readonly AdapterConfig Settings = new(4, 6, 0, ModuleSelection.Named("q_proj", "down_proj"), ["model.norm"], UseRslora: false);

    private byte[] weights = [];
    private JsonObject settings = [];
    private Dictionary<string, float[]> baseWeights = [];

    public override void Prepare(TemporaryFolder folder)
    {
        using var scope = NewDisposeScope();
        SaveModel(folder);
        var generator = new Generator(11);
        var stored = AdapterTensors.Of(TinyCheckpoint.Config, Settings);
        var tensors = stored.TargetModules.SelectMany(module => new[] { module.A, module.B }).Concat(stored.ModulesToSave).Select(tensor => (tensor.Name, randn(tensor.Shape, generator: generator))).ToList();
        AdapterCheckpoint.Save(folder["adapters"], Settings with { BaseModel = folder["model"] }, tensors, TinyCheckpoint.Config);
        weights = File.ReadAllBytes(folder["adapters/adapter_model.safetensors"]);
        settings = PlainReaders.Json(File.ReadAllBytes(folder["adapters/adapter_config.json"]));
        baseWeights = PlainReaders.Safetensors(File.ReadAllBytes(folder["model/model.safetensors"]));
    }

    public override Meaning Read(TemporaryFolder folder)
    {
        using var scope = NewDisposeScope();
        using var opened = ModelFolder.Open(folder["adapters"]);
        return Meaning.Of("", opened.Load(dtype: ScalarType.Float32));
    }

    public override string? Contradiction(byte[] damaged, Meaning found, Meaning original)
    {
        var json = SettingsIn(damaged) ?? settings;
        var rank = PlainReaders.Number(json["r"]) ?? 8;
        var scale = (float)((PlainReaders.Number(json["lora_alpha"]) ?? 8) / (json["use_rslora"]?.ToJsonString() == "true" ? Math.Sqrt(rank) : rank));
        var merged = Merged(PlainReaders.Safetensors(WeightsIn(damaged) ?? weights), (int)rank, scale);
        // The scaled terms of a sum may cancel out.
        return new Meaning("", merged).DifferenceFrom(found, Tolerance * Math.Max(1, Math.Abs(scale)));
    }

    public override bool IsNamed(string refusal) => base.IsNamed(refusal) || refusal.StartsWith("modules_to_save: ", StringComparison.Ordinal) || refusal.StartsWith("lora_target_modules: ", StringComparison.Ordinal);

    /// <summary>The settings, where the damaged file is theirs.</summary>
    protected virtual JsonObject? SettingsIn(byte[] damaged) => null;

    /// <summary>The file of weights, where it is the damaged one.</summary>
    protected virtual byte[]? WeightsIn(byte[] damaged) => null;

    private Dictionary<string, float[]> Merged(Dictionary<string, float[]> adapters, int rank, float scale)
    {
        var merged = baseWeights.ToDictionary(weight => weight.Key, weight => weight.Value);
        foreach (var (name, values) in adapters)
        {
            var weight = name[Prefix.Length..];
            if (weight.EndsWith(".lora_A.weight", StringComparison.Ordinal))
            {
                var module = weight[..^".lora_A.weight".Length];
                merged[module + ".weight"] = Sum(merged[module + ".weight"], scale, adapters[$"{Prefix}{module}.lora_B.weight"], values, rank);
            }
            else if (!weight.Contains(".lora_B.", StringComparison.Ordinal))
            {
                merged[weight] = values;
            }
        }

        return merged;
    }

    /// <summary>W + scale * B A; W [out, in], B [out, r], A [r, in], row after row.</summary>
    private static float[] Sum(float[] weight, float scale, float[] b, float[] a, int rank)
    {
        var columns = a.Length / rank;
        return [.. weight.Select((value, at) => value + (scale * Enumerable.Range(0, rank).Sum(k => b[(at / columns * rank) + k] * a[(k * columns) + (at % columns)])))];
    }
}

/// <summary>adapter_config.json.</summary>
internal sealed class AdapterConfigKind() : AdapterKind("adapter_config", "adapters/adapter_config.json")
{
    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Json(original);

    protected override JsonObject SettingsIn(byte[] damaged) => PlainReaders.Json(damaged);
}

/// <summary>adapter_model.safetensors.</summary>
internal sealed class AdapterWeightsKind() : AdapterKind("adapter_weights", "adapters/adapter_model.safetensors")
{
    public override DamagedFile Damaged(byte[] original, Damage damage) => damage.Safetensors(original);

    protected override byte[] WeightsIn(byte[] damaged) => damaged;
}
