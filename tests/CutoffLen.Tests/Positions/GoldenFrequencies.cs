using System.Text.Json.Nodes;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Tests.Positions;

/// <summary>An entry of golden/frequencies.json and the spec of ours that must give the same numbers.</summary>
internal sealed record GoldenFrequencies(JsonObject Entry)
{
    private static readonly Lazy<IReadOnlyList<GoldenFrequencies>> LazyAll = new(() =>
        [.. JsonNode.Parse(File.ReadAllText(Golden.Path("frequencies.json")))!["entries"]!.AsArray().Select(entry => new GoldenFrequencies(entry!.AsObject()))]);

    public static IReadOnlyList<GoldenFrequencies> All => LazyAll.Value;

    public string Method => (string)Entry["method"]!;

    public string Source => (string)Entry["source"]!;

    public JsonObject Params => Entry["params"]!.AsObject();

    /// <summary>The length that the peer was given, or 1 for methods that do not look at it.</summary>
    public int Length => Params["seq_len"] is { } length ? (int)length : 1;

    /// <summary>Head dimension and base; abf's base is in its spec, on a model of 10000.</summary>
    public PositionModel Model => new((int)Params["head_dim"]!, Method == "abf" ? 10_000 : Number("base"), 2048, 1, 1);

    public double Number(string key) => (double)Params[key]!;

    public override string ToString() => Entry["id"]!.ToString();

    /// <summary>Our method for it, as a run would create it.</summary>
    public FrequencyMethod Create() => (FrequencyMethod)new PositionSetup(Spec(), Model).Method;

    /// <summary>Our spec.</summary>
    public PositionSpec Spec() => (Method, Source) switch
    {
        ("yarn" or "llama3" or "longrope", _) when Source is "hf-yarn" or "hf-longrope" || Method == "llama3" => FromConfig(),
        _ => PositionMethods.Parse(Text()),
    };

    /// <summary>What config.json of such a checkpoint says; Hugging Face ignores yarn's factor where the lengths say otherwise.</summary>
    public PositionConfig Config()
    {
        var isLong = Method == "longrope";
        var scaling = isLong
            ? new JsonObject { ["rope_type"] = "longrope", ["long_factor"] = Params["long_factor"]!.DeepClone(), ["short_factor"] = Params["short_factor"]!.DeepClone(), ["factor"] = Params["factor"]!.DeepClone() }
            : Params["rope_scaling"]!.DeepClone().AsObject();
        return new PositionConfig
        {
            MaxPositionEmbeddings = Params["max_position_embeddings"] is { } max ? (int)max : 8192,
            RopeScaling = scaling,
            OriginalMaxPositionEmbeddings = isLong ? (int)Params["original_max_position_embeddings"]! : null,
        };
    }

    private PositionSpec FromConfig()
    {
        var config = Config();
        if (!IsContradiction)
        {
            return config.ToSpec();
        }

        config.RopeScaling!["factor"] = config.MaxPositionEmbeddings / (double)config.NativeLength;
        return config.ToSpec();
    }

    /// <summary>Whether the peer's note says that it ignored the factor.</summary>
    public bool IsContradiction => ((string?)Entry["note"])?.StartsWith("factor disagrees", StringComparison.Ordinal) == true;

    private string Text() => Method switch
    {
        "default" => "rope",
        "abf" => $"abf:base={P("base")}",
        "linear" when Source == "giraffe" => $"giraffe-power:factor={P("scale")},power={P("scale_power")}",
        "linear" => $"linear:factor={P("factor")}",
        "ntk" => $"ntk:factor={P("alpha")}",
        "ntk_mixed" => $"ntk-mixed:factor={P("k")},b={P("b")}",
        "ntk_by_parts" => $"ntk-parts:factor={P("scale")},original={P("original_max_position_embeddings")},ntk_factor={P("ntk_factor")},extrapolation_factor={P("extrapolation_factor")}",
        "yarn" or "resonance_yarn" => YarnText() + (Method == "yarn" ? "" : "+resonance"),
        "resonance_ntk" => $"ntk:factor={P("alpha")}+resonance",
        "resonance" => "rope+resonance",
        "longrope" => LongRopeText() + $",short={List("rescale_factors")}" + (P("magnitude_scaling_policy") == "yarn" ? $",attention_factor={SpecKey.Text((0.1 * Math.Log(Stretch)) + 1)}" : ""),
        "longrope_dynamic" => LongRopeText() + ",dynamic=true",
        "longrope_mixed" => LongRopeText() + $",short={List("rescale_factors")},start={P("start_token_idx")}",
        "dynamic_ntk" => $"dynamic-ntk:factor={(Params["factor"] is null ? P("ntk") : P("factor"))},original={P("max_position_embeddings")}",
        "dynamic_linear" => $"dynamic-linear:original={P("max_position_embeddings")}",
        "dynamic_ntk_by_parts" => $"dynamic-ntk-parts:original={P("max_position_embeddings")}",
        "dynamic_yarn" => $"dynamic-yarn:original={P("original_max_position_embeddings")},max={P("max_position_embeddings")},finetuned={P("finetuned")}"
            + (Source.StartsWith("yarnmodel", StringComparison.Ordinal) ? ",relative_to=max" : ""),
        "giraffe_power" => $"giraffe-power:factor={P("scale")},power={P("scale_power")}",
        "giraffe_truncation" => $"giraffe-truncated:factor={P("scale")},power={P("scale_power")},cutoff={P("truncate")}",
        "xpos" => $"xpos:scale_base={P("scale_base")}",
        _ => throw new InvalidOperationException($"entry {this}: no spec for {Method} of {Source}"),
    };

    private double Stretch => Number("max_position_embeddings") / Number("original_max_position_embeddings");

    private string P(string key) => Params[key]!.ToString().ToLowerInvariant();

    private string List(string key) => string.Join('/', Params[key]!.AsArray().Select(item => item!.ToString()));

    private string YarnText()
    {
        var text = $"yarn:factor={P("scale")},original={P("original_max_position_embeddings")},beta_fast={P("beta_fast")},beta_slow={P("beta_slow")}";
        if (Params["extrapolation_factor"] is not null)
        {
            // jquesnelle's attn_factor multiplies the scale; ours, like Hugging Face's attention_factor, is the scale.
            text += $",extrapolation_factor={P("extrapolation_factor")}";
            text += Number("attn_factor") == 1 ? "" : $",attention_factor={SpecKey.Text(((0.1 * Math.Log(Number("scale"))) + 1) * Number("attn_factor"))}";
        }

        return text;
    }

    private string LongRopeText() =>
        $"longrope:factor={SpecKey.Text(Stretch)},original={P("original_max_position_embeddings")},long={List("rescale_factors")}";
}
