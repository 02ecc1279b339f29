using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Positions.HuggingFace;

/// <summary>
/// The position keys of a checkpoint's config.json, read as transformers 5 standardises them
/// (RotaryEmbeddingConfigMixin.standardize_rope_params in modeling_rope_utils.py). Where a file says one thing twice and
/// differently, versions of transformers choose differently, so that is an error. Methods that Hugging Face has are written
/// in its form, all others as a spec under our own key <c>cutoff_position_method</c>.
/// </summary>
public sealed record PositionConfig
{
    /// <summary>Our key, holding a spec.</summary>
    public const string MethodKey = "cutoff_position_method";

    internal const string OriginalKey = "original_max_position_embeddings";

    // The default of every model type but smollm3, in every version.
    private const double DefaultTheta = 10_000;

    // vLLM divides max_position_embeddings by the original length; some writers round the factor beside it.
    private const double FactorTolerance = 1e-4;

    private const int MostShown = 1000;

    /// <summary>max_position_embeddings, in tokens.</summary>
    public required int MaxPositionEmbeddings { get; init; }

    /// <summary>rope_theta.</summary>
    public double RopeTheta { get; init; } = DefaultTheta;

    /// <summary>rope_scaling, or version 5's rope_parameters; null for none.</summary>
    public JsonObject? RopeScaling { get; init; }

    /// <summary>original_max_position_embeddings beside rope_scaling, in tokens (as LongRoPE has it, and we).</summary>
    public int? OriginalMaxPositionEmbeddings { get; init; }

    /// <summary>no_rope_layers of smollm3: 1 for a layer with RoPE, 0 for one without; null for other model types.</summary>
    public IReadOnlyList<int>? NoRopeLayers { get; init; }

    /// <summary>Our key's spec, or null.</summary>
    public string? Method { get; init; }

    /// <summary>Tokens of the model's training before any extension.</summary>
    public int NativeLength => Original ?? MaxPositionEmbeddings;

    private int? Original => OriginalWithin ?? OriginalMaxPositionEmbeddings;

    private int? OriginalWithin => RopeScaling?[OriginalKey] is { } node ? Count(node, OriginalKey) : null;

    /// <summary>Reads config.json.</summary>
    /// <exception cref="UserException">max_position_embeddings is missing, or a value is not of its kind.</exception>
    public static PositionConfig Read(JsonObject config)
    {
        var max = config["max_position_embeddings"] ?? throw new UserException("config.json lacks max_position_embeddings");
        var beside = config["rope_theta"] is { } theta ? Base(theta) : (double?)null;
        var (block, layers) = (Block(config, beside), SmolLm3Layers.Read(config));
        return new PositionConfig
        {
            MaxPositionEmbeddings = Count(max, "max_position_embeddings"),
            RopeTheta = ThetaWithin(block) ?? beside ?? (layers is null ? DefaultTheta : SmolLm3Layers.DefaultTheta),
            RopeScaling = block,
            OriginalMaxPositionEmbeddings = config[OriginalKey] is { } original ? Count(original, OriginalKey) : null,
            NoRopeLayers = layers,
            Method = config[MethodKey]?.ToString(),
        };
    }

    /// <summary>rope_scaling, or version 5's rope_parameters; null where there is none, or an empty one.</summary>
    /// <param name="config">config.json.</param>
    /// <param name="beside">rope_theta beside it.</param>
    private static JsonObject? Block(JsonObject config, double? beside)
    {
        var (scaling, parameters) = (ObjectOrNull(config, "rope_scaling"), OfFullAttention(ObjectOrNull(config, "rope_parameters")));
        // Only version 5 knows rope_parameters, so there its rule holds: what is in the block counts.
        if (ThetaWithin(scaling) is { } within && beside is not null && within != beside)
        {
            throw new UserException(
                $"config.json: rope_theta is {SpecKey.Text(within)} in rope_scaling, but {SpecKey.Text(beside.Value)} beside it. "
                + "transformers 5 takes the first, earlier versions the second; keep one");
        }

        // Programs that write for both versions say everything twice. transformers 5 takes rope_scaling then.
        return scaling is null || parameters is null || JsonNode.DeepEquals(WithTheta(scaling, beside), WithTheta(parameters, beside))
            ? parameters ?? scaling
            : throw new UserException("config.json has both rope_scaling and rope_parameters (version 5's name for it), and they differ; keep one");
    }

    /// <summary>The block of the layers with full attention, where rope_parameters has one for each of layer_types.</summary>
    private static JsonObject? OfFullAttention(JsonObject? parameters) => parameters?["full_attention"] as JsonObject ?? parameters;

    /// <summary>The block with rope_type and rope_theta as transformers 5 completes it.</summary>
    private static JsonObject WithTheta(JsonObject block, double? beside)
    {
        var complete = block.DeepClone().AsObject();
        complete["rope_type"] = (block["rope_type"] ?? block["type"] ?? "default").ToString();
        complete["rope_theta"] = ThetaWithin(block) ?? beside ?? DefaultTheta;
        complete.Remove("type");
        return complete;
    }

    private static double? ThetaWithin(JsonObject? block) => block?["rope_theta"] is { } theta ? Base(theta) : null;

    /// <summary>The spec itself; for auto the checkpoint's method and modifiers, with the spec's modifiers and layers on top.</summary>
    /// <exception cref="UserException">See <see cref="ToSpec"/>; or both have the same modifier, or layers of their own.</exception>
    public PositionSpec Resolve(PositionSpec spec) => spec.IsAuto ? PositionMethods.Combine(ToSpec(), spec) : spec;

    /// <summary>The method that the checkpoint was made for.</summary>
    /// <exception cref="UserException">
    /// rope_scaling has an unknown type, a key that nobody reads, a value that is not allowed, or keys that contradict
    /// each other.
    /// </exception>
    public PositionSpec ToSpec()
    {
        try
        {
            var (temperature, layers) = (Llama4Scaling.Read(RopeScaling, NativeLength), SmolLm3Layers.SpecsOf(NoRopeLayers));
            if (Method is null)
            {
                var method = RopeScaling is null ? PositionMethods.Parse("rope").Method : FromScaling(RopeScaling);
                return new PositionSpec(method, temperature is null ? [] : [temperature], layers);
            }

            return layers.Count == 0 && (RopeScaling is null || (RopeScalingType.Of(RopeScaling).Name == "default" && temperature is null))
                ? PositionMethods.Parse(Method)
                : throw new UserException($"there is also {MethodKey} '{Method}'; keep one of the two");
        }
        catch (UserException problem)
        {
            throw new UserException($"config.json: rope_scaling {Shown(RopeScaling)}: {problem.Message}", problem);
        }
    }

    /// <summary>The keys of a model that was fine-tuned with a method at its target length.</summary>
    /// <param name="setup">The method.</param>
    /// <param name="modelType">The architecture, on which it depends whether Hugging Face has a form of the temperature and of layers.</param>
    public static PositionConfig Of(PositionSetup setup, string modelType = "llama")
    {
        var model = setup.Model;
        var longest = Math.Max(setup.TargetLength, model.NativeLength);
        var plain = new PositionConfig
        {
            MaxPositionEmbeddings = longest,
            RopeTheta = model.Base,
            OriginalMaxPositionEmbeddings = longest == model.NativeLength ? null : model.NativeLength,
        };
        var ours = plain with { Method = setup.Spec.ToString() };
        return modelType switch
        {
            Llama4Scaling.ModelType => Llama4Scaling.Write(setup.Spec, Form) ?? Llama4Scaling.With(ours, beta: 0),
            SmolLm3Layers.ModelType => SmolLm3Layers.Write(setup, Form) ?? ours with { NoRopeLayers = [.. Enumerable.Repeat(1, model.Layers)] },
            _ => Form(setup.Spec) ?? ours,
        };

        // transformers refuses every other type in phi3, and takes yarn for longrope.
        PositionConfig? Form(PositionSpec spec) =>
            RopeScalingForm.Of(spec, model, plain) is { } form && (modelType != "phi3" || form.RopeScaling is null || spec.Method.Entry == LongRopeMethod.Entry) ? form : null;
    }

    /// <summary>Replaces the position keys of a config.json; version 5's layout is kept where it is found.</summary>
    public void Write(JsonObject config)
    {
        config["max_position_embeddings"] = MaxPositionEmbeddings;
        Set(config, OriginalKey, OriginalMaxPositionEmbeddings);
        Set(config, MethodKey, Method);
        Set(config, SmolLm3Layers.Key, NoRopeLayers is null ? null : new JsonArray([.. NoRopeLayers.Select(layer => (JsonNode)layer)]));
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

    private SpecPart FromScaling(JsonObject scaling)
    {
        var type = RopeScalingType.Of(scaling);
        var part = type.Read(scaling);
        return type.Name switch
        {
            // Every version, vLLM too, scales from max_position_embeddings on and reads no original length here.
            "dynamic" or "clex" => part.With("original", MaxPositionEmbeddings),
            "llama3" => WithOriginal(part),
            "yarn" => WithYarnFactor(WithOriginal(part)),
            "longrope" => WithLongRopeFactor(WithOriginal(part)),
            _ => part,
        };
    }

    /// <summary>
    /// With the original length: transformers 5 and vLLM take the one beside the block, then the one in it, then
    /// max_position_embeddings. Version 4 reads the one in it for yarn and llama3, the one beside it for longrope.
    /// </summary>
    private SpecPart WithOriginal(SpecPart part) =>
        OriginalWithin is { } within && OriginalMaxPositionEmbeddings is { } beside && within != beside
            ? throw new UserException(
                $"{OriginalKey} is {within} in it, but {beside} beside it. The method is '{part.With("original", within)}' by the first, "
                + $"'{part.With("original", beside)}' by the second: give the one that is meant with --rope")
            : part.With("original", NativeLength);

    /// <summary>
    /// With the factor: the file's own, else max_position_embeddings / original. So do transformers 5, 4.56 and 4.57, those
    /// before 4.51, and vLLM; 4.51 to 4.55 always take the quotient (huggingface/transformers#38224). Qwen2.5's card has factor 4 of
    /// 32768 and leaves max_position_embeddings at 32768: a quotient of 1.
    /// </summary>
    private SpecPart WithYarnFactor(SpecPart part) =>
        part.Has("factor") ? part
        : Original is null ? throw new UserException($"type yarn needs factor or {OriginalKey}")
        : part.With("factor", Quotient);

    /// <summary>
    /// With the factor, of which only the attention factor is made: in transformers 5 the file's own, else
    /// max_position_embeddings / original. vLLM and version 4 always take the quotient where there is an original length, so
    /// another factor is an error unless the file has the attention factor itself.
    /// </summary>
    private SpecPart WithLongRopeFactor(SpecPart part)
    {
        if (!part.Has("factor"))
        {
            return part.With("factor", Quotient);
        }

        if (Original is null || part.Has("attention_factor") || Math.Abs(part.Number("factor") - Quotient) <= FactorTolerance * Quotient)
        {
            return part;
        }

        var byLengths = Quotient >= 1 ? part.With("factor", Quotient).ToString() : "none, as that is below 1";
        throw new UserException(
            $"factor is {SpecKey.Text(part.Number("factor"))}, but max_position_embeddings / {OriginalKey} = {MaxPositionEmbeddings} / {NativeLength} = {SpecKey.Text(Quotient)}. "
            + $"By the factor the method is '{part}' (transformers 5), by the lengths '{byLengths}' (transformers 4, vLLM): give the one that is meant with --rope");
    }

    private double Quotient => MaxPositionEmbeddings / (double)NativeLength;

    private static string Shown(JsonObject? block) => block?.ToJsonString() is not { } text ? "null" : text.Length <= MostShown ? text : text[..MostShown] + "...";

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
        null or JsonObject { Count: 0 } => null,
        JsonObject found => found,
        var other => throw new UserException($"config.json: {key} must be an object or null, not {other.ToJsonString()}"),
    };

    /// <summary>A count of tokens or layers.</summary>
    internal static int Count(JsonNode node, string key) =>
        node.AsNumber() is { } number && number >= 1 && number <= int.MaxValue && number == Math.Floor(number)
            ? (int)number
            : throw new UserException($"config.json: {key} must be a whole number of at least 1, not {node.ToJsonString()}");

    private static double Base(JsonNode node) =>
        node.AsNumber() is { } number && number > 1
            ? number
            : throw new UserException($"config.json: rope_theta must be a number above 1, not {node.ToJsonString()}");
}
