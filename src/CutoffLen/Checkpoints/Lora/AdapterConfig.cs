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

    // Settings of PEFT that change what an adapter computes, and the values under which ours compute the same.
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
        var problems = new List<string>();
        foreach (var (key, allowed) in Fixed)
        {
            if (json[key]?.ToJsonString() is { } given && !allowed.Contains(given))
            {
                problems.Add($"{path}: {key} is {given}; supported is {allowed[0]}");
            }
        }

        try
        {
            var config = new AdapterConfig(
                json["r"]?.GetValue<int>() ?? 8, json["lora_alpha"]?.GetValue<double>() ?? 8, json["lora_dropout"]?.GetValue<double>() ?? 0,
                Names(json["target_modules"]), Names(json["modules_to_save"]), json["use_rslora"]?.GetValue<bool>() ?? false)
            {
                BaseModel = json["base_model_name_or_path"]?.GetValue<string>() ?? "",
            };
            if (config.R < 1 || config.TargetModules.Count == 0)
            {
                problems.Add($"{path}: r must be at least 1 and target_modules a list of names");
            }

            return problems.Count == 0 ? config : throw new UserException(string.Join('\n', problems));
        }
        catch (Exception fault) when (fault is InvalidOperationException or FormatException)
        {
            throw new UserException($"{path}: {fault.Message}", fault);
        }
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

    private static string[] Names(JsonNode? node) => node switch
    {
        null => [],
        JsonArray list => [.. list.Select(name => name?.GetValue<string>() ?? throw new FormatException("a module's name is null"))],
        _ => throw new FormatException($"module names must be a list, not {node.ToJsonString()}"),
    };
}
