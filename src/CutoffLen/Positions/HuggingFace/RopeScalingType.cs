using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.HuggingFace;

/// <summary>
/// A rope_type of Hugging Face's rope_scaling (version 5: rope_parameters) with its method and keys, as in
/// modeling_rope_utils.py of transformers 4.56.
/// </summary>
/// <param name="Name">rope_type.</param>
/// <param name="Method">The method.</param>
/// <param name="Keys">Keys with the same meaning, by their names in JSON and in specs.</param>
internal sealed record RopeScalingType(string Name, MethodEntry Method, params (string Json, string Spec)[] Keys)
{
    private static readonly string[] OfEveryType = ["rope_type", "type", "rope_theta"];
    private static readonly JsonSerializerOptions OnOneLine = new() { WriteIndented = false };

    /// <summary>Every type of LLaMA-type models.</summary>
    public static IReadOnlyList<RopeScalingType> All { get; } =
    [
        new("default", RopeMethod.Entry),
        new("linear", LinearMethod.Entry, ("factor", "factor")) { Required = ["factor"] },
        new("dynamic", DynamicNtkMethod.Entry, ("factor", "factor"), Original) { Required = ["factor"] },
        new(
            "yarn", YarnMethod.Entry, ("factor", "factor"), Original, ("beta_fast", "beta_fast"), ("beta_slow", "beta_slow"),
            ("attention_factor", "attention_factor"), ("mscale", "mscale"), ("mscale_all_dim", "mscale_all_dim"), ("truncate", "truncate"))
        {
            Required = ["factor"],
            // In the authors' checkpoints; it changes no number.
            WithoutEffect = ["finetuned"],
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
            Required = ["factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor"],
        },
        // From the remote code of CLEX checkpoints, not from transformers.
        new("clex", ClexMethod.Entry, ("max_factor", "max_factor"), ("act", "act"), ("time_dt", "time_dt"), Original)
        {
            Required = ["max_factor", "act", "time_dt"],
            // Implied by the shape of the weights.
            WithoutEffect = ["param_factor"],
        },
    ];

    /// <summary>Keys that Hugging Face requires.</summary>
    public IReadOnlyList<string> Required { get; init; } = [];

    /// <summary>Known keys that do not change the table.</summary>
    public IReadOnlyList<string> WithoutEffect { get; init; } = [];

    /// <summary>An older name of it.</summary>
    public string? Alias { get; init; }

    private static (string, string) Original => (PositionConfig.OriginalKey, "original");

    /// <summary>The type that rope_scaling names.</summary>
    /// <exception cref="UserException">It names none, two, or one we do not know.</exception>
    public static RopeScalingType Of(JsonObject scaling)
    {
        var (newer, older) = (scaling["rope_type"], scaling["type"]);
        if (newer is not null && older is not null && newer.ToString() != older.ToString())
        {
            throw new UserException($"rope_type is '{newer}' but type is '{older}'");
        }

        var names = string.Join(", ", All.Select(type => type.Name));
        var name = (newer ?? older)?.ToString() ?? throw new UserException($"it lacks rope_type, one of {names}");
        return All.FirstOrDefault(type => type.Name == name || type.Alias == name)
            ?? throw new UserException($"unknown rope_type '{name}'; known are {names}");
    }

    /// <summary>The method with the values of rope_scaling's keys.</summary>
    /// <exception cref="UserException">A key is missing, unknown, or has a value that is not allowed.</exception>
    public SpecPart Read(JsonObject scaling)
    {
        var allowed = OfEveryType.Concat(WithoutEffect).Concat(Keys.Select(key => key.Json)).ToArray();
        if (scaling.Select(pair => pair.Key).FirstOrDefault(key => !allowed.Contains(key)) is { } unread)
        {
            throw new UserException($"key '{unread}' of type {Name} is not read by any method{Spelling.Suggest(unread, allowed)}; allowed are {string.Join(", ", allowed)}");
        }

        if (Required.FirstOrDefault(key => scaling[key] is null) is { } missing)
        {
            throw new UserException($"type {Name} lacks the key {missing}");
        }

        return new SpecPart(Method, Keys.Where(key => scaling[key.Json] is not null).ToDictionary(key => key.Spec, key =>
        {
            var (specKey, text) = (Method.Key(key.Spec), TextOf(key.Json, scaling[key.Json]!));
            return specKey.Parse(text) ?? throw Method.NotAllowed(specKey, text);
        }));
    }

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
