using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Positions;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;
using CutoffLen.Tests.Positions.Methods;

namespace CutoffLen.Tests.Positions.HuggingFace;

public sealed class PositionConfigTests
{
    private const int Native = 64;
    private const int Target = 256;
    private static readonly PositionModel Model = new(16, 10_000, Native, 4, 2) { Layers = 8, Clex = ClexGoldenTests.Weights(16), PairRanks = MethodPropertyTests.Ranks(8 * 4, 8) };

    public static TheoryData<string> EveryMethod =>
    [
        .. PositionMethods.All.Select(entry => entry.Example(Model)),
        "rope+logn",
        "yarn+temperature:beta=0.2",
        "nope+temperature:form=llama4",
        "rope@3::4=nope",
        "entropy-abf",
        "dpe:scale_factors=2/8/4/1,topk=3",
        "rope@2:4=dpe:scale_factors=2/8/4/1,topk=3",
        "yarn@0:2=linear",
        "yarn+resonance+bca:window=32",
        "yarn:factor=4,beta_fast=16,beta_slow=2,attention_factor=1.1",
        "yarn:factor=4,mscale=0.7,mscale_all_dim=1,truncate=false",
        "yarn:factor=4,extrapolation_factor=0.5",
        "yarn:factor=2.7,original=50",
        "longrope:factor=4,long=1/1.5/2/2.5/3/3.5/4/4.5",
        "longrope:factor=4,long=1/1.5/2/2.5/3/3.5/4/4.5,short=1/1/1/1/1/1/1/1.1,start=4",
        "longrope:factor=4,long=1/1.5/2/2.5/3/3.5/4/4.5,short=1/1/1/1/1/1/1/1.1,attention_factor=1.2",
        "dynamic-ntk:factor=2,original=32",
    ];

    [Theory]
    [MemberData(nameof(EveryMethod))]
    public void Every_method_survives_config_json(string spec)
    {
        foreach (var config in new[] { Json("{}"), Json("""{"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}""") })
        {
            PositionConfig.Of(new PositionSetup(PositionMethods.Parse(spec), Model, Target)).Write(config);
            var read = PositionConfig.Read(Json(config.ToJsonString()));
            Assert.Equal(Hash(PositionMethods.Parse(spec), Model, Target), Hash(read.ToSpec(), Model with { Base = read.RopeTheta, NativeLength = read.NativeLength }, 999));
            Assert.True(read.NativeLength <= Target);
            // Reading what was read and writing it again changes nothing.
            PositionConfig.Of(new PositionSetup(read.ToSpec(), Model with { Base = read.RopeTheta, NativeLength = read.NativeLength }, Target)).Write(config);
            Assert.Equal(Hash(PositionMethods.Parse(spec), Model, Target), Hash(PositionConfig.Read(config).ToSpec(), Model with { Base = PositionConfig.Read(config).RopeTheta }, 999));
        }
    }

    [Theory]
    [InlineData("rope", """{"max_position_embeddings":256,"original_max_position_embeddings":64,"rope_theta":10000,"rope_scaling":null}""")]
    [InlineData("abf:base=500000", """{"max_position_embeddings":256,"original_max_position_embeddings":64,"rope_theta":500000,"rope_scaling":null}""")]
    [InlineData("linear", """{"max_position_embeddings":256,"original_max_position_embeddings":64,"rope_theta":10000,"rope_scaling":{"rope_type":"linear","factor":4.0}}""")]
    [InlineData("dynamic-ntk:factor=2", """{"max_position_embeddings":64,"rope_theta":10000,"rope_scaling":{"rope_type":"dynamic","factor":2.0}}""")]
    [InlineData("yarn", """{"max_position_embeddings":256,"rope_theta":10000,"rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":64}}""")]
    [InlineData("yarn:factor=8,truncate=false", """{"max_position_embeddings":512,"rope_theta":10000,"rope_scaling":{"rope_type":"yarn","factor":8.0,"original_max_position_embeddings":64,"truncate":false}}""")]
    [InlineData("llama3", """{"max_position_embeddings":256,"rope_theta":10000,"rope_scaling":{"rope_type":"llama3","factor":4.0,"original_max_position_embeddings":64,"low_freq_factor":1.0,"high_freq_factor":4.0}}""")]
    [InlineData("rerope", """{"max_position_embeddings":256,"original_max_position_embeddings":64,"cutoff_position_method":"rerope:window=8","rope_theta":10000,"rope_scaling":null}""")]
    [InlineData("string", """{"max_position_embeddings":256,"original_max_position_embeddings":64,"cutoff_position_method":"string:shifted_offset=84,local_window=42","rope_theta":10000,"rope_scaling":null}""")]
    [InlineData("yarn+logn", """{"max_position_embeddings":256,"original_max_position_embeddings":64,"cutoff_position_method":"yarn:factor=4,original=64+logn:original=64","rope_theta":10000,"rope_scaling":null}""")]
    public void Config_json_is_written_as_hugging_face_writes_it_where_it_can(string spec, string expected)
    {
        var config = Json("""{"cutoff_position_method": "alibi", "original_max_position_embeddings": 3, "rope_scaling": {"rope_type": "linear", "factor": 2}}""");
        PositionConfig.Of(new PositionSetup(PositionMethods.Parse(spec), Model, Target)).Write(config);
        Assert.True(JsonNode.DeepEquals(Json(expected), Json(config.ToJsonString())), config.ToJsonString());
    }

    /// <summary>ministral3's code in transformers reads beta and the original length from the block of every type.</summary>
    [Theory]
    [InlineData("yarn+temperature", """{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":64,"llama_4_scaling_beta":0.1,"rope_theta":10000}""", null)]
    [InlineData("yarn", """{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":64,"llama_4_scaling_beta":0,"rope_theta":10000}""", null)]
    [InlineData("rope+temperature:beta=0.25", """{"rope_type":"default","original_max_position_embeddings":64,"llama_4_scaling_beta":0.25,"rope_theta":10000}""", null)]
    [InlineData("abf:base=20000+temperature", """{"rope_type":"default","original_max_position_embeddings":64,"llama_4_scaling_beta":0.1,"rope_theta":20000}""", null)]
    [InlineData("linear+temperature", """{"rope_type":"linear","factor":4.0,"original_max_position_embeddings":64,"llama_4_scaling_beta":0.1,"rope_theta":10000}""", null)]
    [InlineData("dynamic-ntk:factor=2+temperature", """{"rope_type":"dynamic","factor":2.0,"original_max_position_embeddings":64,"llama_4_scaling_beta":0.1,"rope_theta":10000}""", null)]
    [InlineData("yarn+temperature:original=32", null, "yarn:factor=4,original=64+temperature:original=32")]
    [InlineData("rope+temperature:form=llama4", null, "rope+temperature:form=llama4,original=8192")]
    [InlineData("rope+logn", null, "rope+logn:original=64")]
    [InlineData("rerope", null, "rerope:window=8")]
    public void The_temperature_is_written_as_ministral3_has_it(string spec, string? block, string? ours)
    {
        var config = Json("""{"rope_parameters": null}""");
        PositionConfig.Of(new PositionSetup(PositionMethods.Parse(spec), Model, Target), "ministral3").Write(config);
        Assert.Equal(ours, (string?)config["cutoff_position_method"]);
        var expected = Json(block ?? """{"rope_type":"default","original_max_position_embeddings":64,"llama_4_scaling_beta":0,"rope_theta":10000}""");
        Assert.True(JsonNode.DeepEquals(expected, Json(config["rope_parameters"]!.ToJsonString())), config.ToJsonString());
        var read = PositionConfig.Read(Json(config.ToJsonString()));
        Assert.Equal(Hash(PositionMethods.Parse(spec), Model, Target), Hash(read.ToSpec(), Model with { Base = read.RopeTheta, NativeLength = read.NativeLength }, 999));
        Assert.Equal(Native, read.NativeLength);
    }

    [Theory]
    [InlineData("rope@3::4=nope", "[1,1,1,0,1,1,1,0]", "default", null)]
    [InlineData("rope@1=nope@7=nope", "[1,0,1,1,1,1,1,0]", "default", null)]
    [InlineData("abf:base=5e6@3::4=nope", "[1,1,1,0,1,1,1,0]", "default", null)]
    [InlineData("yarn@3::4=nope", "[1,1,1,0,1,1,1,0]", "yarn", null)]
    [InlineData("yarn", "[1,1,1,1,1,1,1,1]", "yarn", null)]
    [InlineData("rope@3::4=nope+logn", "[1,1,1,1,1,1,1,1]", "default", "rope@3::4=nope+logn:original=64")]
    [InlineData("rope@3::4=linear", "[1,1,1,1,1,1,1,1]", "default", "rope@3::4=linear:factor=4")]
    [InlineData("rerope@3::4=nope", "[1,1,1,1,1,1,1,1]", "default", "rerope:window=8@3::4=nope")]
    public void Layers_are_written_as_smollm3_has_them(string spec, string layers, string type, string? ours)
    {
        var config = Json("""{"model_type": "smollm3", "num_hidden_layers": 8, "rope_parameters": null}""");
        PositionConfig.Of(new PositionSetup(PositionMethods.Parse(spec), Model, Target), "smollm3").Write(config);
        Assert.Equal(layers, config["no_rope_layers"]!.ToJsonString());
        Assert.Equal((type, ours), ((string?)config["rope_parameters"]!["rope_type"], (string?)config["cutoff_position_method"]));
        var read = PositionConfig.Read(Json(config.ToJsonString()));
        Assert.Equal(Hash(PositionMethods.Parse(spec), Model, Target), Hash(read.ToSpec(), Model with { Base = read.RopeTheta, NativeLength = read.NativeLength }, 999));
    }

    [Theory]
    [InlineData("""{"no_rope_layers": [1, 1, 0, 1, 1, 0, 1, 1]}""", "rope@2::3=nope", 2e6)]
    [InlineData("""{"no_rope_layers": [1, 1, 1, 1, 1, 1, 1, 1], "no_rope_layer_interval": 2, "rope_theta": 5e6}""", "rope", 5e6)]
    [InlineData("""{"no_rope_layers": null, "no_rope_layer_interval": 3}""", "rope@2::3=nope", 2e6)]
    [InlineData("""{"no_rope_layers": [0, 1, 1, 0, 1, 1, 1, 1]}""", "rope@0,3=nope", 2e6)]
    [InlineData("""{"no_rope_layer_interval": 2}""", "rope@1::2=nope", 2e6)]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}""", "yarn:factor=2,original=64@3::4=nope", 2e6)]
    [InlineData("""{"no_rope_layers": [1, 1, 1, 1, 1, 1, 1, 1], "cutoff_position_method": "alibi@0=rope"}""", "alibi@0=rope", 2e6)]
    public void Smollm3s_layers_are_read_as_transformers_does(string json, string spec, double theta)
    {
        var config = Json(json);
        (config["model_type"], config["num_hidden_layers"], config["max_position_embeddings"]) = ("smollm3", 8, Native);
        var read = PositionConfig.Read(config);
        Assert.Equal((spec, theta), (read.ToSpec().ToString(), read.RopeTheta));
        Assert.Equal($"{spec.Split('@')[0]}", read.Resolve(PositionMethods.Parse(spec.Split('@')[0])).ToString());
    }

    [Theory]
    [InlineData("""{"no_rope_layers": [1, 1, 0]}""", "no_rope_layers must be a list of 1 (RoPE) or 0 (none) for each of the 8 layers, not [1,1,0]")]
    [InlineData("""{"no_rope_layers": [1, 1, 2, 1, 1, 1, 1, 1]}""", "no_rope_layers must be")]
    [InlineData("""{"no_rope_layer_interval": 0}""", "no_rope_layer_interval must be a whole number of at least 1, not 0")]
    [InlineData("""{"cutoff_position_method": "alibi"}""", "there is also cutoff_position_method 'alibi'; keep one of the two")]
    public void A_fault_in_smollm3s_layers_is_named(string json, string part)
    {
        var config = Json(json);
        (config["model_type"], config["num_hidden_layers"], config["max_position_embeddings"]) = ("smollm3", 8, Native);
        Assert.Contains(part, Assert.Throws<UserException>(() => PositionConfig.Read(config).ToSpec()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Auto_takes_layers_on_top_of_what_the_checkpoint_says_where_its_layers_are_alike()
    {
        var read = new PositionConfig { MaxPositionEmbeddings = Native, RopeScaling = Json("""{"rope_type": "linear", "factor": 2}""") };
        Assert.Equal("linear:factor=2+logn@3::4=nope", read.Resolve(PositionMethods.Parse("auto+logn@3::4=nope")).ToString());
        var byLayer = read with { NoRopeLayers = [1, 0] };
        Assert.Equal("linear:factor=2@1=nope", byLayer.Resolve(PositionMethods.Auto).ToString());
        foreach (var more in new[] { "auto+logn", "auto@0=nope" })
        {
            var problem = Assert.Throws<UserException>(() => byLayer.Resolve(PositionMethods.Parse(more)));
            Assert.Contains("auto is 'linear:factor=2@1=nope', whose layers differ; give the whole spec", problem.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void LongRope_is_written_with_the_original_length_beside_it()
    {
        var config = Json("{}");
        PositionConfig.Of(new PositionSetup(PositionMethods.Parse(LongRopeMethod.Entry.Example(Model)), Model, Target)).Write(config);
        Assert.Equal((256, 64), ((int)config["max_position_embeddings"]!, (int)config["original_max_position_embeddings"]!));
        Assert.Equal(["rope_type", "factor", "long_factor", "short_factor"], config["rope_scaling"]!.AsObject().Select(pair => pair.Key));
    }

    [Fact]
    public void Version_5_keeps_its_layout()
    {
        var config = Json("""{"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}}""");
        PositionConfig.Of(new PositionSetup(PositionMethods.Parse("yarn"), Model, Target)).Write(config);
        Assert.Equal(["rope_parameters", "max_position_embeddings"], config.Select(pair => pair.Key));
        Assert.Equal(10_000, (double)config["rope_parameters"]!["rope_theta"]!);
        Assert.Equal("yarn", (string)config["rope_parameters"]!["rope_type"]!);
    }

    [Theory]
    [InlineData("""{}""", "rope", 10_000, 64)]
    [InlineData("""{"rope_scaling": null, "rope_theta": 500000}""", "rope", 500_000, 64)]
    [InlineData("""{"rope_scaling": {"rope_type": "default"}}""", "rope", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"type": "linear", "factor": 2.5}}""", "linear:factor=2.5", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"type": "linear", "rope_type": "linear", "factor": 2}}""", "linear:factor=2", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"rope_type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 64}}""", "dynamic-ntk:factor=2,original=64", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}""", "yarn:factor=4,original=64", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, "finetuned": true, "attention_factor": null}}""", "yarn:factor=4,original=16", 10_000, 16)]
    [InlineData("""{"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e6, "factor": 4.0, "original_max_position_embeddings": 16, "truncate": false}}""", "yarn:factor=4,original=16,truncate=false", 1e6, 16)]
    [InlineData("""{"rope_scaling": {"type": "su", "long_factor": [1, 2.5], "short_factor": [1.0, 1.1]}, "original_max_position_embeddings": 16}""", "longrope:factor=4,original=16,long=1/2.5,short=1/1.1", 10_000, 16)]
    [InlineData("""{"rope_scaling": {"rope_type": "longrope", "factor": 8, "long_factor": [1], "short_factor": [1]}}""", "longrope:factor=8,original=64,long=1,short=1", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 16}}""", "llama3:factor=8,original=16,low_freq_factor=1,high_freq_factor=4", 10_000, 16)]
    [InlineData("""{"cutoff_position_method": "xpos+bca:window=32", "original_max_position_embeddings": 32}""", "xpos+bca:window=32", 10_000, 32)]
    public void Checkpoints_are_read_as_hugging_face_reads_them(string json, string spec, double theta, int native) => AssertRead(json, spec, theta, native);

    [Theory]
    // A missing type is default, and an empty block none; before 5 both are errors.
    [InlineData("""{"rope_parameters": {"rope_theta": 500000.0}}""", "rope", 500_000, 64)]
    [InlineData("""{"rope_parameters": {"type": null, "rope_type": null}}""", "rope", 10_000, 64)]
    [InlineData("""{"rope_scaling": {}, "rope_theta": 500000.0}""", "rope", 500_000, 64)]
    [InlineData("""{"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 2}}""", "linear:factor=2", 10_000, 64)]
    [InlineData("""{"rope_scaling": null, "rope_parameters": {}}""", "rope", 10_000, 64)]
    // Older names of a type, also beside the newer one.
    [InlineData("""{"rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]}}""", "rope", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"type": "mrope", "rope_type": "default", "mrope_section": [2, 3, 3], "mrope_interleaved": true}}""", "rope", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"type": "su", "rope_type": "longrope", "long_factor": [1], "short_factor": [1]}, "original_max_position_embeddings": 16}""", "longrope:factor=4,original=16,long=1,short=1", 10_000, 16)]
    // Both blocks that say the same, as programs write for versions 4 and 5.
    [InlineData("""{"rope_scaling": {"type": "linear", "factor": 2}, "rope_theta": 5e5, "rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500000}}""", "linear:factor=2", 500_000, 64)]
    [InlineData("""{"rope_scaling": {"rope_type": "default", "rope_theta": 5e5}, "rope_theta": 500000.0}""", "rope", 500_000, 64)]
    // rope_theta in rope_parameters, a key of version 5, counts before the one beside it; vLLM on transformers 4 takes the latter.
    [InlineData("""{"rope_parameters": {"rope_type": "default", "rope_theta": 5e5}, "rope_theta": 1e4}""", "rope", 500_000, 64)]
    // Keys that change nothing at their value.
    [InlineData("""{"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 1.0, "factor": 1, "attention_factor": null, "use_mrope": false, "long_factor": []}}""", "rope", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"type": "linear", "factor": 4, "original_max_position_embeddings": 16}}""", "linear:factor=4", 10_000, 16)]
    [InlineData("""{"rope_scaling": {"type": "yarn", "factor": 4, "attention_factor": null, "beta_fast": 0, "beta_slow": 0, "mscale": 1.0, "mscale_all_dim": 0, "attn_factor": 1, "extrapolation_factor": 1, "apply_yarn_scaling": true}}""", "yarn:factor=4,original=64,mscale=1", 10_000, 64)]
    // A null truncate is Python's None, which is false.
    [InlineData("""{"rope_scaling": {"type": "yarn", "factor": 4, "truncate": null}}""", "yarn:factor=4,original=64,truncate=false", 10_000, 64)]
    // The original length beside the block (version 4 reads it for longrope only), and where there is none.
    [InlineData("""{"rope_scaling": {"type": "yarn", "factor": 4}, "original_max_position_embeddings": 16}""", "yarn:factor=4,original=16", 10_000, 16)]
    [InlineData("""{"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}, "original_max_position_embeddings": 16}""", "llama3:factor=8,original=16,low_freq_factor=1,high_freq_factor=4", 10_000, 16)]
    [InlineData("""{"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4}}""", "llama3:factor=8,original=64,low_freq_factor=1,high_freq_factor=4", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"rope_type": "longrope", "long_factor": [1], "short_factor": [1]}}""", "longrope:factor=1,original=64,long=1,short=1", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"rope_type": "dynamic", "factor": 2, "original_max_position_embeddings": 32}}""", "dynamic-ntk:factor=2,original=64", 10_000, 32)]
    // The file's own factor of yarn, whatever the lengths say, as in 4.56 and vLLM; 4.51 to 4.55 take the quotient of the lengths.
    [InlineData("""{"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 64}}""", "yarn:factor=4,original=64", 10_000, 64)]
    [InlineData("""{"rope_scaling": {"type": "yarn", "factor": 4, "original_max_position_embeddings": 32}}""", "yarn:factor=4,original=32", 10_000, 32)]
    [InlineData("""{"rope_scaling": {"type": "yarn", "factor": null, "original_max_position_embeddings": 32}}""", "yarn:factor=2,original=32", 10_000, 32)]
    // ministral3's defaults in transformers 5.
    [InlineData("""{"rope_parameters": {"type": "yarn", "rope_theta": 1e6, "factor": 16.0, "original_max_position_embeddings": 16, "max_position_embeddings": 64, "beta_fast": 32.0, "beta_slow": 1.0, "mscale_all_dim": 1.0, "mscale": 1.0, "llama_4_scaling_beta": 0.1}}""", "yarn:factor=16,original=16,beta_fast=32,beta_slow=1,mscale=1,mscale_all_dim=1+temperature:beta=0.1,original=16", 1e6, 16)]
    // A block for each of layer_types, where all layers have full attention.
    [InlineData("""{"rope_parameters": {"full_attention": {"rope_type": "linear", "factor": 2, "rope_theta": 5e5}, "sliding_attention": {"rope_type": "default"}}}""", "linear:factor=2", 500_000, 64)]
    [InlineData("""{"rope_parameters": {"rope_type": "default", "llama_4_scaling_beta": 0.1}}""", "rope+temperature:beta=0.1,original=64", 10_000, 64)]
    [InlineData("""{"rope_parameters": {"rope_type": "linear", "factor": 2, "llama_4_scaling_beta": null}}""", "linear:factor=2", 10_000, 64)]
    [InlineData("""{"rope_parameters": {"rope_type": "linear", "factor": 2, "llama_4_scaling_beta": 0.0}}""", "linear:factor=2", 10_000, 64)]
    // The attention factor is all that longrope's factor decides.
    [InlineData("""{"rope_scaling": {"rope_type": "longrope", "factor": 8, "attention_factor": 1.5, "long_factor": [1], "short_factor": [1]}, "original_max_position_embeddings": 16}""", "longrope:factor=8,original=16,long=1,short=1,attention_factor=1.5", 10_000, 16)]
    public void Blocks_are_standardised_as_transformers_5_does(string json, string spec, double theta, int native) => AssertRead(json, spec, theta, native);

    private static void AssertRead(string json, string spec, double theta, int native)
    {
        var config = Json(json);
        config["max_position_embeddings"] = Native;
        var read = PositionConfig.Read(Json(config.ToJsonString()));
        Assert.Equal((spec, theta, native), (read.ToSpec().ToString(), read.RopeTheta, read.NativeLength));
        Assert.Equal(spec, read.Resolve(PositionMethods.Parse("auto")).ToString());
        Assert.Equal("alibi", read.Resolve(PositionMethods.Parse("alibi")).ToString());
    }

    [Fact]
    public void Auto_takes_modifiers_on_top_of_what_the_checkpoint_says()
    {
        var read = new PositionConfig { MaxPositionEmbeddings = Native, RopeScaling = Json("""{"rope_type": "linear", "factor": 2}""") };
        Assert.Equal("linear:factor=2+bca:window=8+logn", read.Resolve(PositionMethods.Parse("auto+logn+bca:window=8")).ToString());
    }

    [Fact]
    public void A_modifier_that_the_checkpoint_has_already_is_an_error()
    {
        var read = new PositionConfig { MaxPositionEmbeddings = Native, Method = "rope+logn" };
        var problem = Assert.Throws<UserException>(() => read.Resolve(PositionMethods.Parse("auto+bca:window=8+logn")));
        Assert.Equal("position spec 'rope+logn+bca:window=8+logn': the modifier logn is given twice", problem.Message);
    }

    [Theory]
    [InlineData("""{"rope_scaling": {"factor": 2}}""", "it lacks rope_type, one of default, linear, dynamic, yarn, longrope, llama3, clex; transformers 5 then takes default, and key 'factor' of type default is not read")]
    [InlineData("""{"rope_scaling": {"rope_type": "proportional"}}""", "unknown rope_type 'proportional'; known are default, linear")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "type": "yarn", "factor": 2}}""", "rope_type is 'linear' but type is 'yarn'")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear"}}""", "type linear lacks the key factor")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "factor": 2, "beta_fast": 32}}""", "key 'beta_fast' of type linear is not read by any method; allowed are rope_type, type, rope_theta, original_max_position_embeddings, llama_4_scaling_beta, factor")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "factor": 2, "llama_4_scaling_beta": "high"}}""", "temperature's beta must be a number from 0 to 10, not '\"high\"'")]
    [InlineData("""{"rope_scaling": {"rope_type": "default", "llama_4_scaling_beta": 0.1}, "cutoff_position_method": "alibi"}""", "there is also cutoff_position_method 'alibi'; keep one of the two")]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 2, "beta_fst": 32}}""", "key 'beta_fst' of type yarn is not read by any method (did you mean beta_fast?)")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "factor": -2}}""", "linear's factor must be a number from 1 to 65536, not '-2'")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "factor": "two"}}""", "linear's factor must be a number from 1 to 65536, not 'two'")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "factor": "2,factor=3"}}""", "factor must be a number, a word, true, false or a list of numbers, not \"2,factor=3\"")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "factor": {"a": 1}}}""", "not {\"a\":1}")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "factor": [2, 3]}}""", "linear's factor must be a number from 1 to 65536, not '2/3'")]
    [InlineData("""{"rope_scaling": {"rope_type": "longrope", "factor": 2, "long_factor": [1, null], "short_factor": [1]}}""", "not '1/null'")]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn"}}""", "needs factor or original_max_position_embeddings")]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "original_max_position_embeddings": 128}}""", "yarn's factor must be a number from 1 to 65536, not '0.5'")]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 2, "attn_factor": 1.5}}""", "key 'attn_factor' of type yarn is not read by any method")]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 2, "apply_yarn_scaling": false}}""", "key 'apply_yarn_scaling' of type yarn is not read by any method")]
    [InlineData("""{"rope_scaling": {"rope_type": "dynamic", "factor": 2, "alpha": 8}}""", "key 'alpha' of type dynamic is not read by any method")]
    [InlineData("""{"rope_scaling": {"rope_type": "default", "factor": 8}}""", "key 'factor' of type default is not read by any method")]
    [InlineData("""{"rope_scaling": {"rope_type": "llama3", "factor": 8, "low_freq_factor": 0, "high_freq_factor": 4}}""", "llama3's low_freq_factor must be")]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 2, "original_max_position_embeddings": 16}, "original_max_position_embeddings": 32}""", "'yarn:factor=2,original=16' by the first, 'yarn:factor=2,original=32' by the second")]
    [InlineData("""{"rope_scaling": {"rope_type": "longrope", "factor": 8, "long_factor": [1], "short_factor": [1]}, "original_max_position_embeddings": 16}""", "'longrope:factor=8,original=16,long=1,short=1' (transformers 5), by the lengths 'longrope:factor=4,original=16,long=1,short=1' (transformers 4, vLLM)")]
    [InlineData("""{"rope_scaling": {"rope_type": "linear", "factor": 2, "rope_theta": 5e5}, "rope_theta": 1e4}""", "rope_theta is 500000 in rope_scaling, but 10000 beside it. transformers 5 takes the first, earlier versions the second; keep one")]
    [InlineData("""{"rope_parameters": {"rope_type": "linear", "factor": 2, "rope_theta": 5e5}, "rope_scaling": {"type": "linear", "factor": 2}}""", "both rope_scaling and rope_parameters (version 5's name for it), and they differ")]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 2, "original_max_position_embeddings": 1.5}}""", "must be a whole number")]
    [InlineData("""{"rope_scaling": {"rope_type": "yarn", "factor": 2}, "cutoff_position_method": "alibi"}""", "there is also cutoff_position_method 'alibi'; keep one of the two")]
    [InlineData("""{"cutoff_position_method": "alibbi"}""", "unknown method 'alibbi' (did you mean alibi?)")]
    [InlineData("""{"rope_scaling": [1]}""", "rope_scaling must be an object or null")]
    [InlineData("""{"rope_scaling": {"rope_type": "default"}, "rope_parameters": {"rope_type": "linear", "factor": 2}}""", "both rope_scaling and rope_parameters")]
    [InlineData("""{"rope_theta": -1}""", "rope_theta must be a number above 1")]
    [InlineData("""{"max_position_embeddings": 0}""", "max_position_embeddings must be a whole number of at least 1, not 0")]
    [InlineData("""{"max_position_embeddings": null}""", "lacks max_position_embeddings")]
    public void A_fault_in_config_json_is_one_line_that_names_it(string json, string part)
    {
        var config = Json(json);
        if (!config.ContainsKey("max_position_embeddings"))
        {
            config["max_position_embeddings"] = Native;
        }

        var problem = Assert.Throws<UserException>(() => PositionConfig.Read(Json(config.ToJsonString())).ToSpec());
        Assert.Contains(part, problem.Message, StringComparison.Ordinal);
        Assert.Contains("config.json", problem.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', problem.Message);
    }

    private static string Hash(PositionSpec spec, PositionModel model, int target) =>
        PositionProof.HashOf(new PositionSetup(spec, model, target).Layers, TokenPositions.Sequential(200));

    private static JsonObject Json(string text) => JsonNode.Parse(text)!.AsObject();
}
