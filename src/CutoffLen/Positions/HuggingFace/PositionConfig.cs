using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.HuggingFace;

/// <summary>
/// The position keys of a checkpoint's config.json. Methods that Hugging Face has are written in its form, all others as a
/// spec under our own key <c>cutoff_position_method</c>.
/// </summary>
public sealed record PositionConfig
{
    /// <summary>Our key, holding a spec.</summary>
    public const string MethodKey = "cutoff_position_method";

    internal const string OriginalKey = "original_max_position_embeddings";

    // Hugging Face divides max_position_embeddings by the original length; some writers round the factor beside it.
    private const double FactorTolerance = 1e-4;

    /// <summary>max_position_embeddings, in tokens.</summary>
    public required int MaxPositionEmbeddings { get; init; }

    /// <summary>rope_theta.</summary>
    public double RopeTheta { get; init; } = 10_000;

    /// <summary>rope_scaling, or version 5's rope_parameters; null for none.</summary>
    public JsonObject? RopeScaling { get; init; }

    /// <summary>original_max_position_embeddings beside rope_scaling, in tokens (as LongRoPE has it, and we).</summary>
    public int? OriginalMaxPositionEmbeddings { get; init; }

    /// <summary>Our key's spec, or null.</summary>
    public string? Method { get; init; }

    /// <summary>Tokens of the model's training before any extension.</summary>
    public int NativeLength => OriginalWithin ?? OriginalMaxPositionEmbeddings ?? MaxPositionEmbeddings;

    private int? OriginalWithin => RopeScaling?[OriginalKey] is { } node ? Count(node, OriginalKey) : null;

    /// <summary>Reads config.json.</summary>
    /// <exception cref="UserException">max_position_embeddings is missing, or a value is not of its kind.</exception>
    public static PositionConfig Read(JsonObject config)
    {
        var (scaling, parameters) = (ObjectOrNull(config, "rope_scaling"), ObjectOrNull(config, "rope_parameters"));
        if (scaling is not null && parameters is not null)
        {
            throw new UserException("config.json has both rope_scaling and rope_parameters (version 5's name for it); keep one");
        }

        var max = config["max_position_embeddings"] ?? throw new UserException("config.json lacks max_position_embeddings");
        var theta = parameters?["rope_theta"] ?? config["rope_theta"] ?? scaling?["rope_theta"];
        return new PositionConfig
        {
            MaxPositionEmbeddings = Count(max, "max_position_embeddings"),
            RopeTheta = theta is null ? 10_000 : Base(theta),
            RopeScaling = scaling ?? parameters,
            OriginalMaxPositionEmbeddings = config[OriginalKey] is { } original ? Count(original, OriginalKey) : null,
            Method = config[MethodKey]?.ToString(),
        };
    }

    /// <summary>The spec itself; for auto the checkpoint's method and modifiers, with the spec's modifiers on top.</summary>
    /// <exception cref="UserException">See <see cref="ToSpec"/>; or both have the same modifier.</exception>
    public PositionSpec Resolve(PositionSpec spec) => spec.IsAuto ? PositionMethods.Combine(ToSpec(), spec.Modifiers) : spec;

    /// <summary>The method that the checkpoint was made for.</summary>
    /// <exception cref="UserException">
    /// rope_scaling has an unknown type, a key that nobody reads, a value that is not allowed, or keys that contradict
    /// each other.
    /// </exception>
    public PositionSpec ToSpec()
    {
        try
        {
            if (Method is null)
            {
                return RopeScaling is null ? PositionMethods.Parse("rope") : FromScaling(RopeScaling);
            }

            return RopeScaling is null || RopeScalingType.Of(RopeScaling).Name == "default"
                ? PositionMethods.Parse(Method)
                : throw new UserException($"there is also {MethodKey} '{Method}'; keep one of the two");
        }
        catch (UserException problem)
        {
            throw new UserException($"config.json: rope_scaling {RopeScaling?.ToJsonString() ?? "null"}: {problem.Message}", problem);
        }
    }

    /// <summary>The keys of a model that was fine-tuned with a method at its target length.</summary>
    public static PositionConfig Of(PositionSetup setup)
    {
        var model = setup.Model;
        var longest = Math.Max(setup.TargetLength, model.NativeLength);
        var plain = new PositionConfig
        {
            MaxPositionEmbeddings = longest,
            RopeTheta = model.Base,
            OriginalMaxPositionEmbeddings = longest == model.NativeLength ? null : model.NativeLength,
        };
        return InFormOfHuggingFace(setup.Spec, model, plain) ?? plain with { Method = setup.Spec.ToString() };
    }

    /// <summary>Replaces the position keys of a config.json; version 5's layout is kept where it is found.</summary>
    public void Write(JsonObject config)
    {
        config["max_position_embeddings"] = MaxPositionEmbeddings;
        Set(config, OriginalKey, OriginalMaxPositionEmbeddings);
        Set(config, MethodKey, Method);
        if (config.ContainsKey("rope_parameters"))
        {
            var parameters = RopeScaling?.DeepClone().AsObject() ?? new JsonObject { ["rope_type"] = "default" };
            parameters["rope_theta"] = RopeTheta;
            config["rope_parameters"] = parameters;
            config.Remove("rope_scaling");
            config.Remove("rope_theta");
            return;
        }

        config["rope_theta"] = RopeTheta;
        config["rope_scaling"] = RopeScaling?.DeepClone();
    }

    private static PositionConfig? InFormOfHuggingFace(PositionSpec spec, PositionModel model, PositionConfig plain)
    {
        var part = spec.Method;
        var type = RopeScalingType.All.FirstOrDefault(type => type.Method == part.Entry);
        var written = type?.Keys.Select(key => key.Spec).ToArray() ?? [];
        // Hugging Face has no form for modifiers, nor for keys that its type lacks.
        var isTheirs = spec.Modifiers.Count == 0 && (type is null || part.Entry.Keys.All(key => !part.Has(key.Name) || written.Contains(key.Name)));
        return part.Name switch
        {
            _ when !isTheirs => null,
            "rope" => plain,
            // Both are vanilla RoPE with another base.
            "abf" => plain with { RopeTheta = part.Number("base") },
            "ntk" => plain with { RopeTheta = NtkMethod.BaseFor(model, part.Number("factor")) },
            // Their formulas scale from max_position_embeddings on.
            "dynamic-ntk" or "clex" => plain with { RopeScaling = Without(type!.Write(part), OriginalKey), MaxPositionEmbeddings = part.Tokens("original"), OriginalMaxPositionEmbeddings = null },
            "linear" => plain with { RopeScaling = type!.Write(part) },
            "llama3" => plain with { RopeScaling = type!.Write(part), OriginalMaxPositionEmbeddings = null },
            "yarn" => Stretched(part, plain) is { } stretched ? stretched with { RopeScaling = type!.Write(part) } : null,
            "longrope" when part.Has("short") => Stretched(part, plain) is { } stretched
                ? stretched with { RopeScaling = Without(type!.Write(part), OriginalKey), OriginalMaxPositionEmbeddings = part.Tokens("original") }
                : null,
            _ => null,
        };
    }

    /// <summary>With max_position_embeddings = factor * original, from which Hugging Face computes the factor; null where that is no integer.</summary>
    private static PositionConfig? Stretched(SpecPart part, PositionConfig plain)
    {
        var longest = part.Number("factor") * part.Tokens("original");
        var whole = Math.Round(longest);
        return Math.Abs(longest - whole) < 1e-6 && whole <= int.MaxValue
            ? plain with { MaxPositionEmbeddings = (int)whole, OriginalMaxPositionEmbeddings = null }
            : null;
    }

    private PositionSpec FromScaling(JsonObject scaling)
    {
        var type = RopeScalingType.Of(scaling);
        var part = type.Read(scaling);
        return new PositionSpec(
            type.Name switch
            {
                "dynamic" or "clex" => OriginalWithin is { } original && original != MaxPositionEmbeddings
                    ? throw Contradiction(part, MaxPositionEmbeddings, "max_position_embeddings", original, OriginalKey)
                    : part.With("original", MaxPositionEmbeddings),
                "yarn" or "longrope" => WithFactor(type, part, scaling),
                _ => part,
            },
            []);
    }

    /// <summary>
    /// With the original length and the factor. Hugging Face takes the factor from max_position_embeddings / original where it
    /// knows the original length (yarn since transformers 4.51), and else takes max_position_embeddings for the original.
    /// Versions and programs disagree where the file's own factor is another one, so that is an error.
    /// </summary>
    private SpecPart WithFactor(RopeScalingType type, SpecPart part, JsonObject scaling)
    {
        var beside = type.Name == "longrope" ? OriginalMaxPositionEmbeddings : null;
        if (OriginalWithin is { } inner && beside is { } outer && inner != outer)
        {
            throw Contradiction(part, inner, $"{OriginalKey} inside it", outer, $"{OriginalKey} beside it");
        }

        if ((OriginalWithin ?? beside) is not { } original)
        {
            return part.Has("factor")
                ? part.With("original", MaxPositionEmbeddings)
                : throw new UserException($"type {type.Name} needs factor or {OriginalKey}");
        }

        part = part.With("original", original);
        var implied = MaxPositionEmbeddings / (double)original;
        if (!part.Has("factor"))
        {
            return part.With("factor", implied);
        }

        if (Math.Abs(part.Number("factor") - implied) > FactorTolerance * implied)
        {
            var byLengths = implied >= 1 ? part.With("factor", implied).ToString() : "none, as that is below 1";
            throw new UserException(
                $"factor is {scaling["factor"]}, but max_position_embeddings / original_max_position_embeddings = {MaxPositionEmbeddings} / {original} = {SpecKey.Text(implied)}. "
                + $"By the factor the method is '{part}' (transformers before 4.51), by the lengths '{byLengths}' (since): give the one that is meant with --rope");
        }

        return part;
    }

    private static UserException Contradiction(SpecPart part, int first, string firstName, int second, string secondName) => new(
        $"{firstName} is {first}, but {secondName} is {second}. The method is '{part.With("original", first)}' by the first, "
        + $"'{part.With("original", second)}' by the second: give the one that is meant with --rope");

    private static JsonObject Without(JsonObject scaling, string key)
    {
        scaling.Remove(key);
        return scaling;
    }

    private static void Set(JsonObject config, string key, JsonNode? value)
    {
        if (value is null)
        {
            config.Remove(key);
        }
        else
        {
            config[key] = value;
        }
    }

    private static JsonObject? ObjectOrNull(JsonObject config, string key) => config[key] switch
    {
        null => null,
        JsonObject found => found,
        var other => throw new UserException($"config.json: {key} must be an object or null, not {other.ToJsonString()}"),
    };

    private static int Count(JsonNode node, string key) =>
        NumberOrNull(node) is { } number && number >= 1 && number <= int.MaxValue && number == Math.Floor(number)
            ? (int)number
            : throw new UserException($"config.json: {key} must be a whole number of tokens of at least 1, not {node.ToJsonString()}");

    private static double Base(JsonNode node) =>
        NumberOrNull(node) is { } number && number > 1 && double.IsFinite(number)
            ? number
            : throw new UserException($"config.json: rope_theta must be a number above 1, not {node.ToJsonString()}");

    // From its text, since a JsonNode made in memory and one read from a file have values of different types.
    private static double? NumberOrNull(JsonNode node) =>
        node.GetValueKind() == JsonValueKind.Number && double.TryParse(node.ToJsonString(), CultureInfo.InvariantCulture, out var number) ? number : null;
}
