using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>adapter_config.json: low-rank adapters under PEFT's names.</summary>
/// <param name="R">Rank.</param>
/// <param name="LoraAlpha">The product is scaled by lora_alpha / r.</param>
/// <param name="LoraDropout">Share of the inputs dropped in training.</param>
/// <param name="TargetModules">Last names of the projections with adapters.</param>
/// <param name="ModulesToSave">Last names of the modules trained whole.</param>
/// <param name="UseRslora">Whether the scale is lora_alpha / sqrt(r) (arXiv 2312.03732).</param>
public sealed record AdapterConfig(
    int R, double LoraAlpha, double LoraDropout, IReadOnlyList<string> TargetModules, IReadOnlyList<string> ModulesToSave, bool UseRslora)
{
    /// <summary>The file's name.</summary>
    internal const string FileName = "adapter_config.json";

    // PEFT's settings that change what an adapter computes, and the values that are supported.
    private static readonly (string Key, string[] Allowed)[] Fixed =
    [
        ("peft_type", ["\"LORA\""]), ("bias", ["\"none\""]), ("use_dora", ["false"]), ("fan_in_fan_out", ["false"]),
        ("layers_to_transform", ["null", "[]"]), ("rank_pattern", ["null", "{}"]), ("alpha_pattern", ["null", "{}"]),
        ("trainable_token_indices", ["null"]), ("lora_bias", ["false"]), ("target_parameters", ["null", "[]"]),
    ];

    /// <summary>What the adapters' product is multiplied by.</summary>
    public double Scale => LoraAlpha / (UseRslora ? Math.Sqrt(R) : R);

    /// <summary>The base model's folder as the file names it; empty for none.</summary>
    public string BaseModel { get; init; } = "";

    /// <summary>The base model's folder, which must be there.</summary>
    /// <param name="folder">The adapters' folder, for the message.</param>
    /// <exception cref="UserException">There is no such folder on this machine.</exception>
    public string BaseIn(string folder) => Directory.Exists(BaseModel)
        ? BaseModel
        : throw new UserException(
            $"{Path.Combine(folder, FileName)}: the adapters' base model (base_model_name_or_path) is {JsonFile.Show(BaseModel)}, which is no folder here; "
            + "write the folder of the base model there, or merge with 'cutoff merge --base DIR'");

    /// <summary>Reads an adapter folder's file.</summary>
    /// <exception cref="UserException">It is missing or damaged, or the adapters are of a kind that is not supported.</exception>
    public static AdapterConfig Read(string folder)
    {
        var path = Path.Combine(folder, FileName);
        var json = JsonFile.ReadObject(path);
        var keys = new JsonKeys(json);
        foreach (var (key, allowed) in Fixed)
        {
            if (json[key]?.ToJsonString() is { } given && !allowed.Contains(given))
            {
                keys.Problems.Add($"{key} is {given}; supported is {allowed[0]}");
            }
        }

        var config = new AdapterConfig(
            keys.Int("r", 1, int.MaxValue, absent: 8), keys.Number("lora_alpha", 8), keys.Number("lora_dropout", 0),
            keys.Texts("target_modules"), keys.Texts("modules_to_save"), keys.Flag("use_rslora", false))
        {
            BaseModel = keys.Text("base_model_name_or_path") ?? "",
        };
        if (keys.Problems.Count == 0 && config.TargetModules.Count == 0)
        {
            keys.Problems.Add("target_modules must be a list of names");
        }

        return keys.Problems.Count == 0 ? config : throw new UserException(string.Join('\n', keys.Problems.Select(problem => $"{path}: {problem}")));
    }

    /// <summary>The file's content, complete enough for PEFT.</summary>
    public JsonObject ToJson() => new()
    {
        ["base_model_name_or_path"] = BaseModel,
        ["bias"] = "none",
        ["fan_in_fan_out"] = false,
        ["inference_mode"] = true,
        ["init_lora_weights"] = true,
        ["lora_alpha"] = LoraAlpha,
        ["lora_dropout"] = LoraDropout,
        ["modules_to_save"] = ModulesToSave.Count == 0 ? null : List(ModulesToSave),
        ["peft_type"] = "LORA",
        ["r"] = R,
        ["target_modules"] = List(TargetModules),
        ["task_type"] = "CAUSAL_LM",
        ["use_rslora"] = UseRslora,
    };

    private static JsonArray List(IReadOnlyList<string> names) => [.. names.Select(name => (JsonNode)name)];
}
