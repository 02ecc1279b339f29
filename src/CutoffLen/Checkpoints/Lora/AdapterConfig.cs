using System.Text.Json.Nodes;
using CutoffLen.Checkpoints.Gguf;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Hub;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>What PEFT does to the base model's weights when it loads an adapter, by init_lora_weights.</summary>
public enum BaseChange
{
    /// <summary>Nothing: true, false, gaussian, orthogonal, eva and mica are about new adapters only.</summary>
    None,

    /// <summary>pissa: the part of the r largest singular values is removed (arXiv 2404.02948).</summary>
    Pissa,

    /// <summary>olora: the part of the first r columns of a QR decomposition is removed (arXiv 2406.01775).</summary>
    Olora,
}

/// <summary>
/// adapter_config.json: low-rank adapters under PEFT's names and with PEFT's meaning (version 0.20). A key that changes the
/// result and is not honoured is refused.
/// </summary>
/// <param name="R">Rank.</param>
/// <param name="LoraAlpha">The product is scaled by lora_alpha / r.</param>
/// <param name="LoraDropout">Share of the inputs dropped in training.</param>
/// <param name="TargetModules">The linear layers, and the embedding, that get adapters.</param>
/// <param name="ModulesToSave">Modules trained whole: those whose names end in one of these, as PEFT matches them.</param>
/// <param name="UseRslora">Whether the scale is lora_alpha / sqrt(r) (arXiv 2312.03732).</param>
public sealed record AdapterConfig(
    int R, double LoraAlpha, double LoraDropout, ModuleSelection TargetModules, IReadOnlyList<string> ModulesToSave, bool UseRslora)
{
    /// <summary>The file's name.</summary>
    internal const string FileName = "adapter_config.json";

    /// <summary>Modules that get no adapters though they are targets; null for none.</summary>
    public ModuleSelection? ExcludeModules { get; init; }

    /// <summary>The layers whose modules get adapters; null for all.</summary>
    public IReadOnlyList<int>? LayersToTransform { get; init; }

    /// <summary>Regular expressions of what stands before a layer's index in a name; none for any.</summary>
    public IReadOnlyList<string> LayersPattern { get; init; } = [];

    /// <summary>Ranks of the modules whose names end in a match; the first match counts.</summary>
    public IReadOnlyList<(string Pattern, int R)> RankPattern { get; init; } = [];

    /// <summary>The same for lora_alpha.</summary>
    public IReadOnlyList<(string Pattern, double LoraAlpha)> AlphaPattern { get; init; } = [];

    /// <summary>Whether a learned magnitude replaces the norm of each row of the weight (DoRA, arXiv 2402.09353).</summary>
    public bool UseDora { get; init; }

    /// <summary>Whether B has a bias.</summary>
    public bool LoraBias { get; init; }

    /// <summary>
    /// Whether an adapter that was just made changes nothing, as one that the adapters' file lacks is in PEFT. With
    /// init_lora_weights of false and orthogonal it is random.
    /// </summary>
    public bool NewChangesNothing { get; init; } = true;

    /// <summary>What happens to the base model's weights first.</summary>
    public BaseChange BaseChange { get; init; }

    /// <summary>
    /// Whether embedding and head stay tied where the base model ties them (PEFT 0.18 for modules_to_save, 0.19 for targets).
    /// Without it the one that is trained goes its own way.
    /// </summary>
    public bool EnsureWeightTying { get; init; }

    /// <summary>The base model as the file names it: its folder, or its name on the hub with the revision; empty for none.</summary>
    public string BaseModel { get; init; } = "";

    /// <summary>What the adapters' product is multiplied by, where no pattern says otherwise.</summary>
    public double Scale => ScaleOf(LoraAlpha, R);

    /// <summary>The scale of an alpha and a rank.</summary>
    public double ScaleOf(double alpha, int r) => alpha / (UseRslora ? Math.Sqrt(r) : r);

    /// <summary>The base model's folder, which must be there, also as a snapshot in the hub's cache or as what was read of a GGUF file.</summary>
    /// <param name="folder">The adapters' folder, for the message.</param>
    /// <exception cref="UserException">There is no such folder on this machine.</exception>
    public string BaseIn(string folder) => Directory.Exists(BaseModel)
        ? BaseModel
        : GgufCache.Find(BaseModel)
        ?? (HubRepository.ParseModel(BaseModel) is { } named ? new HubCache(HubSettings.FromEnvironment().CacheFolder, named).Snapshot : null)
        ?? throw new UserException(
            $"{PathIn(folder)}: the adapters' base model (base_model_name_or_path) is {JsonFile.Show(BaseModel)}, which is no folder here and not in the hub's cache; "
            + "write the folder of the base model there, or merge with 'cutoff merge --base DIR'");

    /// <summary>Reads an adapter folder's file.</summary>
    /// <exception cref="UserException">It is missing or damaged, or the adapters are of a kind that is not supported; all problems, a line each.</exception>
    public static AdapterConfig Read(string folder)
    {
        var path = PathIn(folder);
        var keys = new JsonKeys(JsonFile.ReadObject(path));
        var config = AdapterConfigKeys.Read(keys);
        return keys.Problems.Count == 0 ? config : throw new UserException(string.Join('\n', keys.Problems.Select(problem => $"{path}: {problem}")));
    }

    /// <summary>The path of an adapter folder's file.</summary>
    internal static string PathIn(string folder) => Path.Combine(folder, FileName);

    /// <summary>The file's content, complete enough for PEFT. Adapters of ours have no patterns, layers or variants.</summary>
    public JsonObject ToJson()
    {
        var named = HubRepository.ParseModel(BaseModel);
        var json = new JsonObject
        {
            ["base_model_name_or_path"] = named?.Name ?? BaseModel,
            ["bias"] = "none",
            ["fan_in_fan_out"] = false,
            ["inference_mode"] = true,
            ["init_lora_weights"] = true,
            ["lora_alpha"] = LoraAlpha,
            ["lora_dropout"] = LoraDropout,
            ["modules_to_save"] = ModulesToSave.Count == 0 ? null : ModuleSelection.Named(ModulesToSave).ToJson(),
            ["peft_type"] = "LORA",
            ["r"] = R,
            ["target_modules"] = TargetModules.ToJson(),
            ["task_type"] = "CAUSAL_LM",
            ["use_rslora"] = UseRslora,
        };
        if (named is not null)
        {
            json["revision"] = named.Revision;
        }

        if (EnsureWeightTying)
        {
            json["ensure_weight_tying"] = true; // PEFT before 0.14 refuses a key that it does not know
        }

        return json;
    }
}
