using System.Text.Json.Nodes;
using CutoffLen.Files;
using CutoffLen.Hub;

namespace CutoffLen.Checkpoints.Lora;

/// <summary>
/// The keys of PEFT's LoraConfig (peft/tuners/lora/config.py, version 0.20): read, known to change nothing, or refused by
/// name.
/// </summary>
internal static class AdapterConfigKeys
{
    private const string TargetModules = "target_modules";
    private const string LayersToTransform = "layers_to_transform";
    private const string LayersPattern = "layers_pattern";
    private const string InitLoraWeights = "init_lora_weights";

    /// <summary>
    /// Who made the file, how new adapters would be initialised, how PEFT or ms-swift runs. fan_in_fan_out is false for every
    /// linear layer, whatever the file says, as in PEFT.
    /// </summary>
    private static readonly string[] Unused =
    [
        "base_model_class", "auto_mapping", "inference_mode", "peft_version", "runtime_config", "megatron_core",
        "fan_in_fan_out", "loftq_config", "eva_config", "corda_config", "lora_ga_config", "qalora_group_size",
        "lora_dtype", "lorap_lr_ratio", "lorap_emb_lr",
    ];

    /// <summary>Keys that change what an adapter computes and are not honoured: what they are.</summary>
    private static readonly (string Key, string What)[] Refused =
    [
        ("alora_invocation_tokens", "activated LoRA, which works from an invocation on and cannot be merged"),
        ("trainable_token_indices", "single trained rows of the embedding"),
        ("target_parameters", "adapters on bare parameters, as mixtures of experts have"),
        ("layer_replication", "a network of repeated layers"),
        ("use_qalora", "QA-LoRA, adapters of a quantized base"),
        ("use_bdlora", "block-diagonal adapters"),
        ("arrow_config", "routing between adapters"),
        ("monteclora_config", "sampled adapters"),
        ("kasa_config", "KaSA, which truncates the base's weights"),
        ("velora_config", "VeLoRA"),
        ("megatron_config", "Megatron's parallel layers"),
    ];

    /// <summary>Initialisations after which the adapter fits another base: the one that was saved with it. Why that is not this base.</summary>
    private static readonly (string Name, string Why)[] OtherBases =
    [
        ("pissa_niter_", "PEFT takes a randomly drawn approximation of the principal part from the base, which no file holds"),
        ("corda", "PEFT takes a part from the base that depends on data, which no file holds"),
        ("lora_ga", "PEFT took a part from the base that depends on gradients, which no file holds"),
        ("loftq", "PEFT quantizes the base"),
    ];

    /// <summary>Reads the settings; problems are left in <paramref name="keys"/>.</summary>
    public static AdapterConfig Read(JsonKeys keys)
    {
        Only(keys, "peft_type", absent: null, "LORA");
        Only(keys, "task_type", absent: "CAUSAL_LM", "CAUSAL_LM");
        Only(keys, "bias", absent: "none", "none", "all", "lora_only"); // trained biases are tensors of the file
        var initial = Initial(keys);
        var config = new AdapterConfig(
            keys.Int("r", 1, int.MaxValue, absent: 8), keys.Number("lora_alpha", 8), keys.Number("lora_dropout", 0),
            // PEFT's targets for llama, mistral and qwen2 where the file names none.
            Selection(keys, TargetModules) ?? ModuleSelection.Named("q_proj", "v_proj"), Names(keys, "modules_to_save"), keys.Flag("use_rslora", false))
        {
            ExcludeModules = Selection(keys, "exclude_modules"),
            LayersToTransform = Layers(keys),
            LayersPattern = keys.Node(LayersPattern).AsText() is { } pattern ? pattern.Length == 0 ? [] : [pattern] : Names(keys, LayersPattern),
            RankPattern = Pattern<int>(keys, "rank_pattern", "whole numbers above 0", value => value is >= 1 and <= int.MaxValue && value == Math.Floor(value.Value) ? (int)value : null),
            AlphaPattern = Pattern<double>(keys, "alpha_pattern", "numbers", JsonKeys.Finite),
            UseDora = keys.Flag("use_dora", false),
            LoraBias = keys.Flag("lora_bias", false),
            BaseChange = initial.Change,
            NewChangesNothing = initial.NewChangesNothing,
            EnsureWeightTying = keys.Flag("ensure_weight_tying", false),
            BaseModel = BaseModel(keys),
        };
        CheckTogether(keys, config);
        RefuseVariants(keys);
        return config;
    }

    /// <summary>A name on the hub with the revision beside it, as PEFT reads them.</summary>
    private static string BaseModel(JsonKeys keys)
    {
        var (name, revision) = (keys.Text("base_model_name_or_path") ?? "", keys.Text("revision"));
        return string.IsNullOrEmpty(revision) || Directory.Exists(name) || HubRepository.ParseModel(name) is null ? name : $"{name}@{revision}";
    }

    private static void Only(JsonKeys keys, string key, string? absent, params string[] allowed)
    {
        var text = keys.Text(key);
        if (!allowed.Contains(text ?? absent))
        {
            keys.Problems.Add($"{key} is {(text is null ? "missing" : JsonFile.Show(text))}; supported is {string.Join(", ", allowed)}");
        }
    }

    /// <summary>A list of names, or a text that is a pattern; null when absent.</summary>
    private static ModuleSelection? Selection(JsonKeys keys, string key) => keys.Node(key) switch
    {
        null => null,
        var node when node.AsText() is { } pattern => ModuleSelection.Matching(pattern),
        _ => ModuleSelection.Named(Names(keys, key)),
    };

    private static string[] Names(JsonKeys keys, string key)
    {
        var names = keys.Texts(key);
        if (names.Contains(""))
        {
            keys.Problems.Add($"{key} holds an empty name");
        }

        return names;
    }

    /// <summary>layers_to_transform: an index or a list of them; an empty list counts as absent, as in PEFT.</summary>
    private static IReadOnlyList<int>? Layers(JsonKeys keys)
    {
        JsonNode?[] items = keys.Node(LayersToTransform) switch { null => [], JsonArray list => [.. list], var node => [node] };
        var indexes = items.Select(item => item.AsNumber() is { } number and >= 0 and <= int.MaxValue && number == Math.Floor(number) ? (int)number : -1).ToList();
        return indexes.Contains(-1) ? keys.Wrong<IReadOnlyList<int>?>(LayersToTransform, keys.Node(LayersToTransform)!, "a layer's index or a list of them", null)
            : indexes.Count == 0 ? null : indexes;
    }

    private static IReadOnlyList<(string, T)> Pattern<T>(JsonKeys keys, string key, string allowed, Func<double?, T?> read)
        where T : struct => keys.Node(key) switch
    {
        null => [],
        JsonObject values when values.All(pair => read(pair.Value.AsNumber()) is not null) => [.. values.Select(pair => (pair.Key, read(pair.Value.AsNumber())!.Value))],
        var node => keys.Wrong<IReadOnlyList<(string, T)>>(key, node, $"an object of names and {allowed}", []),
    };

    /// <summary>init_lora_weights: what changes in the base model, and whether a new adapter changes nothing.</summary>
    private static (BaseChange Change, bool NewChangesNothing) Initial(JsonKeys keys)
    {
        if (keys.Node(InitLoraWeights) is not { } node || node.AsFlag() is not null)
        {
            return (BaseChange.None, keys.Flag(InitLoraWeights, true));
        }

        var name = node.AsText()?.ToLowerInvariant() ?? "";
        if (OtherBases.FirstOrDefault(other => name.StartsWith(other.Name, StringComparison.Ordinal)) is { Why: { } why })
        {
            keys.Problems.Add(
                $"{InitLoraWeights} is {JsonFile.Show(name)}: {why}. Convert the adapter in PEFT (save_pretrained with path_initial_model_for_weight_conversion); "
                + $"or, where the base model is the one that was saved after this initialisation, write \"{InitLoraWeights}\": true");
            return default;
        }

        return name switch
        {
            "gaussian" or "eva" or "mica" => (BaseChange.None, true),
            "orthogonal" => (BaseChange.None, false),
            "pissa" => (BaseChange.Pissa, true),
            "olora" => (BaseChange.Olora, true),
            _ => keys.Wrong(InitLoraWeights, node, "true, false, gaussian, orthogonal, eva, mica, pissa or olora", (BaseChange.None, false)),
        };
    }

    /// <summary>What LoraConfig refuses.</summary>
    private static void CheckTogether(JsonKeys keys, AdapterConfig config)
    {
        if (config.TargetModules.Pattern is not null && (config.LayersToTransform is not null || config.LayersPattern.Count > 0))
        {
            keys.Problems.Add($"{LayersToTransform} and {LayersPattern} go with a list of {TargetModules}, not with a text");
        }

        if (config.LayersPattern.Count > 0 && config.LayersToTransform is null)
        {
            keys.Problems.Add($"{LayersPattern} needs {LayersToTransform}");
        }

        if (config.LoraBias && (config.UseDora || config.BaseChange != BaseChange.None))
        {
            keys.Problems.Add($"lora_bias goes neither with use_dora nor with this {InitLoraWeights}");
        }
    }

    private static void RefuseVariants(JsonKeys keys)
    {
        foreach (var (key, what) in Refused)
        {
            if (keys.Node(key) is { } node && !IsEmpty(node))
            {
                keys.Problems.Add($"{key} means {what}, which is not supported");
            }
        }

        keys.Ignore(Unused);
        foreach (var key in keys.Unread.ToList())
        {
            if (keys.Node(key) is { } node && !IsEmpty(node))
            {
                keys.Problems.Add($"{JsonFile.Show(key)} is unknown; remove it if the adapters do not depend on it");
            }
        }
    }

    /// <summary>Whether a value switches nothing on.</summary>
    private static bool IsEmpty(JsonNode node) =>
        node.AsFlag() == false || node.AsText() == "" || node is JsonArray { Count: 0 } or JsonObject { Count: 0 };
}
