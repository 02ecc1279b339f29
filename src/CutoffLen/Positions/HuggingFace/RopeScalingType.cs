using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.HuggingFace;

/// <summary>
/// A rope_type of Hugging Face's rope_scaling (version 5: rope_parameters) with its method and keys, as in
/// modeling_rope_utils.py of transformers 5.
/// </summary>
/// <param name="Name">rope_type.</param>
/// <param name="Method">The method.</param>
/// <param name="Keys">Keys with the same meaning, by their names in JSON and in specs.</param>
internal sealed record RopeScalingType(string Name, MethodEntry Method, params (string Json, string Spec)[] Keys)
{
    private const string Truncate = "truncate";

    // original_max_position_embeddings is read by some types only, and is the native length for all. The temperature's beta goes
    // with any type.
    private static readonly string[] OfEveryType = ["rope_type", "type", "rope_theta", PositionConfig.OriginalKey, Llama4Scaling.Key];

    // In texts the three position ids of M-RoPE are equal, so their split over the pairs changes nothing (arXiv 2409.12191,
    // section 2.1).
    private static readonly string[] OnlyForImages = ["mrope_section", "mrope_interleaved"];

    // Factors that only other types, or other programs (vLLM, the authors' code), read.
    private static readonly string[] OneChangesNothing = ["factor", "attention_factor", "attn_factor", "extrapolation_factor"];

    private static readonly JsonSerializerOptions OnOneLine = new() { WriteIndented = false };

    /// <summary>Every type of LLaMA-type models.</summary>
    public static IReadOnlyList<RopeScalingType> All { get; } =
    [
        // Text-only parts of Qwen2-VL call it mrope.
        new("default", RopeMethod.Entry) { Alias = "mrope" },
        new("linear", LinearMethod.Entry, ("factor", "factor")) { Required = ["factor"] },
        new("dynamic", DynamicNtkMethod.Entry, ("factor", "factor"), Original) { Required = ["factor"] },
        new(
            "yarn", YarnMethod.Entry, ("factor", "factor"), Original, ("beta_fast", "beta_fast"), ("beta_slow", "beta_slow"),
            ("attention_factor", "attention_factor"), ("mscale", "mscale"), ("mscale_all_dim", "mscale_all_dim"), (Truncate, "truncate"))
        {
            // Python's "x or default", and "if mscale and mscale_all_dim", count 0 as absent.
            ZeroIsAbsent = ["beta_fast", "beta_slow", "mscale", "mscale_all_dim"],
            // In the authors' checkpoints, and among ministral3's defaults; they change no number.
            WithoutEffect = ["finetuned", "max_position_embeddings"],
        },
        new(
            "longrope", LongRopeMethod.Entry, ("factor", "factor"), Original, ("long_factor", "long"), ("short_factor", "short"),
            ("attention_factor", "attention_factor"))
        {
            Required = ["long_factor", "short_factor"],
            // In the first Phi-3 checkpoints.
            Alias = "su",
        },
        new(
            "llama3", Llama3Method.Entry, ("factor", "factor"), Original, ("low_freq_factor", "low_freq_factor"), ("high_freq_factor", "high_freq_factor"))
        {
            Required = ["factor", "low_freq_factor", "high_freq_factor"],
        },
        // From the remote code of CLEX checkpoints, not from transformers.
        new("clex", ClexMethod.Entry, ("max_factor", "max_factor"), ("act", "act"), ("time_dt", "time_dt"), ("param_factor", "param_factor"), Original)
        {
            Required = ["max_factor", "act", "time_dt"],
        },
    ];

    /// <summary>Keys that Hugging Face requires.</summary>
    public IReadOnlyList<string> Required { get; init; } = [];

    /// <summary>Known keys that do not change the table.</summary>
    public IReadOnlyList<string> WithoutEffect { get; init; } = [];

    /// <summary>Keys whose 0 counts as absent.</summary>
    public IReadOnlyList<string> ZeroIsAbsent { get; init; } = [];

    /// <summary>An older name of it.</summary>
    public string? Alias { get; init; }

    private static string Names => string.Join(", ", All.Select(type => type.Name));

    private static (string, string) Original => (PositionConfig.OriginalKey, "original");

    /// <summary>
    /// The type that rope_scaling names. Without a name it is default, as in transformers 5; earlier versions refuse it.
    /// </summary>
    /// <exception cref="UserException">It names two, or one we do not know.</exception>
    public static RopeScalingType Of(JsonObject scaling)
    {
        var (newer, older) = (Named(scaling["rope_type"]), Named(scaling["type"]));
        return newer is null || older is null || newer == older
            ? newer ?? older ?? All[0]
            : throw new UserException($"rope_type is '{newer.Name}' but type is '{older.Name}'");
    }

    private static RopeScalingType? Named(JsonNode? node) => node is null ? null
        : All.FirstOrDefault(type => type.Name == node.ToString() || type.Alias == node.ToString())
            ?? throw new UserException($"unknown rope_type '{node}'; known are {Names}");

    /// <summary>The method with the values of rope_scaling's keys.</summary>
    /// <exception cref="UserException">A key is missing, unknown, or has a value that is not allowed.</exception>
    public SpecPart Read(JsonObject scaling)
    {
        var allowed = OfEveryType.Concat(WithoutEffect).Concat(Keys.Select(key => key.Json)).ToArray();
        if (scaling.Where(pair => !allowed.Contains(pair.Key) && !ChangesNothing(pair.Key, pair.Value)).Select(pair => pair.Key).FirstOrDefault() is { } unread)
        {
            var type = scaling["rope_type"] is null && scaling["type"] is null
                ? $"it lacks rope_type, one of {Names}; transformers 5 then takes {Name}, and key {JsonFile.Show(unread)} of type {Name}"
                : $"key {JsonFile.Show(unread)} of type {Name}";
            throw new UserException($"{type} is not read by any method{Spelling.Suggest(unread, allowed)}; allowed are {string.Join(", ", allowed)}");
        }

        var given = Keys.Select(key => (key.Spec, key.Json, Value: ValueOf(scaling, key.Json))).Where(key => key.Value is not null).ToList();
        if (Required.FirstOrDefault(key => given.All(found => found.Json != key)) is { } missing)
        {
            throw new UserException($"type {Name} lacks the key {missing}");
        }

        return new SpecPart(Method, given.ToDictionary(key => key.Spec, key =>
        {
            var (specKey, text) = (Method.Key(key.Spec), TextOf(key.Json, key.Value!));
            return specKey.Parse(text) ?? throw Method.NotAllowed(specKey, text);
        }));
    }

    /// <summary>Whether a key that this type does not read changes no number, whoever reads it, or is read with the architecture.</summary>
    private static bool ChangesNothing(string key, JsonNode? value) =>
        // vLLM's switch of YaRN's attention factor.
        key == "apply_yarn_scaling" ? value is null || value.AsFlag() == true
        : key == "partial_rotary_factor" || OnlyForImages.Contains(key) || value.IsUnset() || (OneChangesNothing.Contains(key) && value.AsNumber() == 1);

    /// <summary>The value of a key that the type reads; null for absent.</summary>
    private JsonNode? ValueOf(JsonObject scaling, string key) => scaling[key] switch
    {
        // Python's None is false, and only a key that is not there is true (transformers since 4.56, vLLM).
        null when key == Truncate && scaling.ContainsKey(key) => false,
        var value when value.AsNumber() == 0 && ZeroIsAbsent.Contains(key) => null,
        var value => value,
    };

    /// <summary>rope_scaling for a spec of the method whose defaults are filled in.</summary>
    public JsonObject Write(SpecPart part)
    {
        var scaling = new JsonObject { ["rope_type"] = Name };
        foreach (var (json, spec) in Keys.Where(key => part.Has(key.Spec) || Required.Contains(key.Json)))
        {
            scaling[json] = Method.Key(spec).Kind switch
            {
                SpecKeyKind.Flag => part.Flag(spec),
                SpecKeyKind.Word => part.Word(spec),
                SpecKeyKind.Tokens => part.Tokens(spec),
                SpecKeyKind.Numbers => new JsonArray([.. part.NumbersOrNull(spec)!.Select(Decimal)]),
                _ => Decimal(part.Number(spec)),
            };
        }

        return scaling;
    }

    // A value as specs write it; a text must be one word.
    private static string TextOf(string key, JsonNode node) => node.GetValueKind() switch
    {
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => node.ToJsonString(),
        JsonValueKind.Array => string.Join('/', node.AsArray().Select(item => TextOf(key, item ?? "null"))),
        JsonValueKind.String when node.ToString().All(char.IsAsciiLetterOrDigit) => node.ToString(),
        _ => throw new UserException($"{key} must be a number, a word, true, false or a list of numbers, not {node.ToJsonString(OnOneLine)}"),
    };

    // Hugging Face warns about factors written as integers.
    private static JsonNode? Decimal(double number)
    {
        var text = SpecKey.Text(number);
        return JsonNode.Parse(text.All(c => char.IsAsciiDigit(c)) ? text + ".0" : text);
    }
}
