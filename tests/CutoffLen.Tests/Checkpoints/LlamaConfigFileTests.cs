using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Files;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.HuggingFace;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Tests.Checkpoints;

public sealed class LlamaConfigFileTests
{
    private const string LlamaForCausalLM = """
        {"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_act":"silu","hidden_size":64,"intermediate_size":176,
        "num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":320,"max_position_embeddings":64,
        "rope_theta":10000.0,"rope_scaling":null,"rms_norm_eps":1e-05,"tie_word_embeddings":false,"attention_bias":false,
        "mlp_bias":false,"attention_dropout":0.0,"initializer_range":0.02,"pretraining_tp":1,"use_cache":true,"bos_token_id":1,
        "eos_token_id":2,"torch_dtype":"float32","transformers_version":"4.56.0.dev0"}
        """;

    [Fact]
    public void A_usual_configuration_is_read()
    {
        var config = Read(LlamaForCausalLM);
        Assert.Equal((320, 64, 176, 4, 4, 2, 16), (config.VocabSize, config.HiddenSize, config.IntermediateSize, config.NumHiddenLayers, config.NumAttentionHeads, config.NumKeyValueHeads, config.HeadDim));
        Assert.Equal((64, 10_000.0, 1e-5, 0.02), (config.MaxPositionEmbeddings, config.RopeTheta, config.RmsNormEps, config.InitializerRange));
        Assert.Equal((1, false, false, false, false), (config.BosTokenId, config.TieWordEmbeddings, config.QkvBias, config.OutputBias, config.MlpBias));
        Assert.Equal([2], config.EosTokenIds);
        Assert.Null(config.RopeScaling);
    }

    [Fact]
    public void Absent_keys_have_Hugging_Faces_defaults()
    {
        var config = Read("""
            {"model_type":"llama","vocab_size":320,"hidden_size":64,"intermediate_size":176,"num_hidden_layers":4,
            "num_attention_heads":4,"max_position_embeddings":2048}
            """);
        Assert.Equal((4, 16, 10_000.0, 1e-6), (config.NumKeyValueHeads, config.HeadDim, config.RopeTheta, config.RmsNormEps));
        Assert.False(config.TieWordEmbeddings || config.QkvBias || config.OutputBias || config.MlpBias);
        Assert.Null(config.BosTokenId);
        Assert.Empty(config.EosTokenIds);
    }

    [Fact]
    public void Qwen2_has_biases_on_queries_keys_and_values_only()
    {
        var config = Read(Edit("model_type", "\"qwen2\"", "attention_bias", null, "use_sliding_window", "false", "sliding_window", "32", "max_window_layers", "3"));
        Assert.Equal((true, false, false), (config.QkvBias, config.OutputBias, config.MlpBias));
        config = Read(Edit("attention_bias", "true"));
        Assert.Equal((true, true, false), (config.QkvBias, config.OutputBias, config.MlpBias));
    }

    [Theory]
    [InlineData("null")]
    [InlineData("64")]
    public void Mistral_is_the_same_network_when_its_window_never_bites(string window) =>
        Assert.Equal("mistral", Read(Edit("model_type", "\"mistral\"", "sliding_window", window)).ModelType);

    [Fact]
    public void Smollm3_is_llamas_network_with_layers_without_RoPE()
    {
        var config = Read(Edit("model_type", "\"smollm3\"", "tie_word_embeddings", null, "rope_theta", "5000000.0", "no_rope_layers", "[1,1,1,0]", "no_rope_layer_interval", "4",
            "use_sliding_window", "false", "sliding_window", "null", "layer_types", "[\"full_attention\",\"full_attention\",\"full_attention\",\"full_attention\"]"));
        Assert.True(config.TieWordEmbeddings);
        Assert.Equal("rope@3=nope", config.PositionConfig.ToSpec().ToString());
        var written = LlamaConfigFile.Write(config, "bfloat16", null);
        Assert.Equal(("SmolLM3ForCausalLM", "[1,1,1,0]"), ((string?)written["architectures"]![0], written["no_rope_layers"]!.ToJsonString()));
        var again = Read(written.ToJsonString());
        Assert.Equal(config.PositionConfig.ToSpec(), again.PositionConfig.ToSpec());
        Assert.Equal([null, null, null, 32], Read(Edit("model_type", "\"smollm3\"", "sliding_window", "32", "use_sliding_window", "true")).Windows);
        Assert.Null(Read(Edit("model_type", "\"smollm3\"", "sliding_window", "32")).Windows);
    }

    [Fact]
    public void Ministral3_is_mistrals_network_with_a_temperature()
    {
        const string block = """{"rope_type":"yarn","rope_theta":1000000.0,"factor":4.0,"original_max_position_embeddings":16,"llama_4_scaling_beta":0.1}""";
        var config = Read(Edit("model_type", "\"ministral3\"", "rope_scaling", null, "rope_theta", null, "rope_parameters", block));
        Assert.Equal("yarn:factor=4,original=16+temperature:beta=0.1,original=16", config.PositionConfig.ToSpec().ToString());
        var written = LlamaConfigFile.Write(config, "bfloat16", null);
        Assert.Equal("Ministral3ForCausalLM", (string?)written["architectures"]![0]);
        Assert.True(JsonNode.DeepEquals(Parse(block), written["rope_parameters"]), written.ToJsonString());
        Assert.False(written.ContainsKey("rope_scaling"));
        Assert.Equal(1e-5, config.RmsNormEps);
        Assert.Contains("\"attention_bias\"", Fault("attention_bias", "true"));
        Assert.Contains("\"rope_parameters\" is missing", Assert.Single(Problems(Edit("model_type", "\"ministral3\""))));

        static string Fault(string key, string value) => Assert.Single(Problems(Edit("model_type", "\"ministral3\"", "rope_parameters", block, key, value)));
    }

    [Theory]
    [InlineData("v5_no_rope_type", "rope", 500_000, 128)]
    [InlineData("empty_scaling", "rope", 10_000, 128)]
    [InlineData("r1_distill_qwen", "rope", 10_000, 131_072)]
    [InlineData("smollm2", "rope", 100_000, 128)]
    // mscale needs mscale_all_dim, of which 0 is none.
    [InlineData("yarn_mscale0", "yarn:factor=40,original=4096,beta_fast=32,beta_slow=1,mscale=1", 10_000, 4096)]
    // transformers 4.51 to 4.55 take a factor of 32768 / 32768 = 1.
    [InlineData("qwen25_card", "yarn:factor=4,original=32768", 1_000_000, 32_768)]
    public void Reported_files_are_read_as_by_transformers_5(string name, string spec, double theta, int native)
    {
        var config = HuggingFaceCheckpoint.ReadConfig(Golden.Path($"configs/{name}.json"), out _);
        Assert.Equal((spec, theta, native), (config.PositionConfig.ToSpec().ToString(), config.RopeTheta, config.NativeLength));
    }

    [Theory]
    [InlineData("use_mrope", "false")]
    [InlineData("rope_interleaved", "false")]
    [InlineData("something_new", "false")]
    [InlineData("something_new", "null")]
    [InlineData("something_new", "[]")]
    [InlineData("something_new", "{}")]
    [InlineData("something_new", "\"\"")]
    [InlineData("is_causal", "true")]
    [InlineData("partial_rotary_factor", "1.0")]
    [InlineData("rope_parameters", "{\"partial_rotary_factor\":1}")]
    [InlineData("embedding_multiplier", "1.0")]
    [InlineData("attention_multiplier", "0.25")]
    [InlineData("query_pre_attn_scalar", "16")]
    [InlineData("hidden_dropout", "0.0")]
    [InlineData("final_logit_softcapping", "null")]
    [InlineData("quantization_config", "{}")]
    [InlineData("layer_types", "[\"full_attention\",\"full_attention\",\"full_attention\",\"full_attention\"]")]
    [InlineData("no_rope_layers", "[1,1,1,1]")]
    [InlineData("pretraining_tp", "0")]
    [InlineData("max_sequence_length", "4096")]
    [InlineData("base_model_ep_plan", "{\"a\":\"b\"}")]
    [InlineData("sliding_window_pattern", "6")]
    public void A_key_that_changes_nothing_at_its_value_is_accepted(string key, string value) => Read(Edit(key, value));

    [Theory]
    [InlineData("false", "32", "3", null)]
    // transformers gives the window to layers from max_window_layers on, of which there are none.
    [InlineData("true", "32", "4", null)]
    [InlineData("true", "null", "3", null)]
    [InlineData("true", "32", "3", 32)]
    [InlineData("true", null, "3", 4096)]
    public void Qwens_window_counts_only_where_it_is_switched_on(string use, string? window, string layer, int? last)
    {
        foreach (var type in new[] { "qwen2", "qwen3" })
        {
            var config = Read(Edit("model_type", $"\"{type}\"", "attention_bias", null, "use_sliding_window", use, "sliding_window", window, "max_window_layers", layer));
            Assert.Equal(last is null ? null : [null, null, null, last], config.Windows);
            AssertWritten(config);
        }
    }

    [Fact]
    public void A_window_that_is_missing_is_that_of_transformers()
    {
        Assert.Equal([4096, 4096, 4096, 4096], Read(Edit("model_type", "\"mistral\"")).Windows);
        Assert.Equal([32, 32, 32, 32], Read(Edit("model_type", "\"mistral\"", "use_sliding_window", "false", "sliding_window", "32")).Windows);
        Assert.Null(Read(Edit("model_type", "\"phi3\"")).Windows);
    }

    [Fact]
    public void Every_family_is_written_as_it_is_read()
    {
        foreach (var family in LlamaFamily.All)
        {
            var config = Read(Edit("model_type", $"\"{family.ModelType}\"", "attention_bias", null, "head_dim", "16", "rope_scaling", null, "rope_theta", null,
                "rope_parameters", """{"rope_type":"default","rope_theta":5000.0}"""));
            AssertWritten(config);
            Assert.Equal(family.Architecture, (string?)LlamaConfigFile.Write(config, "bfloat16", null)["architectures"]![0]);
        }
    }

    [Fact]
    public void Phi3_rotates_a_part_of_each_head()
    {
        var config = Read(Edit("model_type", "\"phi3\"", "partial_rotary_factor", "0.75"));
        Assert.Equal((16, 12, 4), (config.HeadDim, config.Positions.HeadDim, config.Positions.UnencodedDim));
        AssertWritten(config);
        Assert.Equal(12, Read(Edit("model_type", "\"phi3\"", "rope_theta", null, "rope_scaling", null, "rope_parameters", """{"rope_type":"default","rope_theta":10000.0,"partial_rotary_factor":0.75}""")).RotaryDim);
    }

    /// <summary>transformers refuses every type but longrope in phi3.</summary>
    [Theory]
    [InlineData("yarn:factor=2", false)]
    [InlineData("linear:factor=2", false)]
    [InlineData("longrope:factor=2,original=64,long=1/2/3/4/5/6,short=1/1/1/1/1/1", true)]
    public void Phi3_has_one_type_in_Hugging_Faces_form(string spec, bool isTheirs)
    {
        var config = Read(Edit("model_type", "\"phi3\"", "partial_rotary_factor", "0.75"));
        var saved = config.With(PositionConfig.Of(config.SetupFor(PositionMethods.Parse(spec), 128), "phi3"));
        Assert.Equal((isTheirs, isTheirs), (saved.RopeScaling is not null, saved.PositionMethod is null));
        AssertWritten(saved);
    }

    [Theory]
    [InlineData("phi3", "partial_rotary_factor", "0.7", "an even count of the 16 numbers")]
    [InlineData("qwen3", "partial_rotary_factor", "0.75", "1 in qwen3")]
    [InlineData("phi3", "rope_scaling", """{"type":"longrope","short_factor":[1],"long_factor":[2]}""", "\"original_max_position_embeddings\" is missing")]
    [InlineData("phi3", "embd_pdrop", "0.1", "unknown keys: 'embd_pdrop'")]
    [InlineData("phi3", "attention_bias", "true", "false in phi3")]
    [InlineData("olmo2", "mlp_bias", "true", "false in olmo2")]
    [InlineData("olmo2", "clip_qkv", "8", "unknown keys: 'clip_qkv'")]
    [InlineData("olmo2", "sliding_window", "32", "\"sliding_window\" is 32")]
    [InlineData("mistral", "layer_types", """["full_attention","full_attention","full_attention","full_attention"]""", "\"layer_types\"")]
    [InlineData("qwen3", "layer_types", """["sliding_attention","full_attention","full_attention","full_attention"]""", "\"layer_types\"")]
    [InlineData("smollm3", "layer_types", """["chunked_attention","full_attention","full_attention","full_attention"]""", "\"layer_types\"")]
    [InlineData("mistral", "sliding_window", "0", "\"sliding_window\" is 0")]
    [InlineData("mistral", "rope_parameters", """{"full_attention":{"rope_type":"default"},"sliding_attention":{"rope_type":"linear","factor":2}}""", "another block for sliding_attention")]
    public void What_a_familys_network_lacks_is_named(string type, string key, string value, string fault) =>
        Assert.Contains(fault, Assert.Single(Problems(Edit("model_type", $"\"{type}\"", key == "attention_bias" ? "bos_token_id" : "attention_bias", key == "attention_bias" ? "1" : null, key, value))), StringComparison.Ordinal);

    [Theory]
    [InlineData("model_type", "\"mixtral\"", "supported are llama, mistral, ministral3, qwen2, qwen3, smollm3, phi3, olmo2")]
    [InlineData("model_type", "7", "\"model_type\" is 7")]
    [InlineData("model_type", null, "\"model_type\" is ''")]
    [InlineData("vocab_size", null, "\"vocab_size\" is missing")]
    [InlineData("vocab_size", "0", "\"vocab_size\" is 0; allowed is a whole number from 1")]
    [InlineData("vocab_size", "1e400", "\"vocab_size\" is 1e400")]
    [InlineData("vocab_size", "99999999999", "\"vocab_size\" is 99999999999")]
    [InlineData("hidden_size", "63.5", "\"hidden_size\" is 63.5")]
    [InlineData("hidden_size", "66", "not a multiple of \"num_attention_heads\"")]
    [InlineData("hidden_size", "[64]", "\"hidden_size\" is a list")]
    [InlineData("num_key_value_heads", "3", "not a multiple of \"num_key_value_heads\"")]
    [InlineData("head_dim", "15", "even")]
    [InlineData("max_position_embeddings", null, "max_position_embeddings")]
    [InlineData("rms_norm_eps", "-1", "\"rms_norm_eps\" is -1")]
    [InlineData("hidden_act", "\"gelu\"", "\"hidden_act\" is 'gelu'; allowed is silu")]
    [InlineData("attention_dropout", "0.1", "\"attention_dropout\"")]
    [InlineData("partial_rotary_factor", "0.5", "\"partial_rotary_factor\"")]
    [InlineData("rope_parameters", "{\"partial_rotary_factor\":0.5}", "\"partial_rotary_factor\"")]
    [InlineData("quantization_config", "{\"bits\":4}", "quantized")]
    [InlineData("rope_interleaved", "true", "unknown keys: 'rope_interleaved'")]
    [InlineData("use_mrope", "true", "unknown keys: 'use_mrope'")]
    [InlineData("is_causal", "false", "unknown keys: 'is_causal'")]
    [InlineData("embedding_multiplier", "12", "unknown keys: 'embedding_multiplier'")]
    [InlineData("attention_multiplier", "0.1", "\"attention_multiplier\" is 0.1; allowed is 1 / sqrt(head_dim) = 0.25")]
    [InlineData("query_pre_attn_scalar", "8", "\"query_pre_attn_scalar\" is 8; allowed is head_dim = 16")]
    [InlineData("final_logit_softcapping", "30.0", "unknown keys: 'final_logit_softcapping'")]
    [InlineData("clip_qkv", "0", "unknown keys: 'clip_qkv'")]
    [InlineData("pruned_heads", "{\"1\":[0]}", "unknown keys: 'pruned_heads'")]
    [InlineData("no_rope_layers", "[1,0,1,1]", "unknown keys: 'no_rope_layers'")]
    [InlineData("layer_types", "[\"full_attention\",\"sliding_attention\"]", "\"layer_types\"")]
    [InlineData("rope_parameters", "{\"rope_type\":\"default\",\"llama_4_scaling_beta\":0.1}", "\"llama_4_scaling_beta\" is 0.1; allowed is 0 in llama")]
    [InlineData("sliding_window", "63", "\"sliding_window\" is 63")]
    [InlineData("tie_word_embeddings", "\"yes\"", "true or false")]
    [InlineData("bos_token_id", "320", "token ids from 0 to 319")]
    [InlineData("eos_token_id", "[2,-1]", "token ids from 0 to 319")]
    [InlineData("rope_scaling", "{\"type\":\"linear\"},\"rope_parameters\":{\"type\":\"default\"}", "rope_parameters")]
    [InlineData("attention_sink", "4", "unknown keys: 'attention_sink'")]
    public void A_value_that_makes_another_network_is_named(string key, string? value, string fault)
    {
        var problems = Problems(Edit(key, value));
        Assert.Contains(problems, problem => problem.Contains(fault, StringComparison.Ordinal));
    }

    [Fact]
    public void All_problems_come_together()
    {
        var problems = Problems(Edit("vocab_size", null, "hidden_act", "\"gelu\"", "foo", "1", "bar", "2"));
        Assert.Equal(["\"vocab_size\" is missing", "\"hidden_act\" is 'gelu'", "unknown keys: 'foo', 'bar'"], problems.Select(problem => problem.Split(';')[0]));
    }

    [Theory]
    [InlineData("rope_scaling", """{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":16}""", 16, 10_000)]
    [InlineData("rope_scaling", """{"type":"linear","factor":4.0}""", 64, 10_000)]
    [InlineData("rope_scaling", """{"rope_type":"longrope","short_factor":[1],"long_factor":[2]},"original_max_position_embeddings":32""", 32, 10_000)]
    [InlineData("rope_parameters", """{"rope_type":"llama3","rope_theta":500000.0,"factor":8.0,"original_max_position_embeddings":16}""", 16, 500_000)]
    [InlineData("rope_parameters", """{"rope_type":"default","rope_theta":500000.0}""", 64, 500_000)]
    public void The_position_block_of_versions_4_and_5_is_kept(string key, string block, int native, double theta)
    {
        var source = Parse(Edit(key, block));
        var config = Read(source.ToJsonString());
        Assert.Equal((native, theta), (config.NativeLength, config.RopeTheta));
        var written = LlamaConfigFile.Write(config, "float32", source);
        Assert.True(JsonNode.DeepEquals(source[key], written[key]), written.ToJsonString());
        Assert.Equal((int?)source["original_max_position_embeddings"], (int?)written["original_max_position_embeddings"]);
        var again = Read(written.ToJsonString());
        Assert.Equal((native, theta, 64), (again.NativeLength, again.RopeTheta, again.MaxPositionEmbeddings));
    }

    [Theory]
    [InlineData("llama", false, false, false)]
    [InlineData("llama", true, true, true)]
    [InlineData("mistral", false, false, false)]
    [InlineData("qwen2", true, false, false)]
    public void What_is_written_is_read_back_the_same(string type, bool qkv, bool output, bool mlp)
    {
        var config = TinyCheckpoint.Config with
        {
            ModelType = type, QkvBias = qkv, OutputBias = output, MlpBias = mlp, TieWordEmbeddings = true, HeadDim = 10, EosTokenIds = [2, 3], RmsNormEps = 1e-5, InitializerRange = 0.01,
        };
        var json = LlamaConfigFile.Write(config, "bfloat16", null);
        Assert.Equal("bfloat16", (string?)json["torch_dtype"]);
        var again = Read(json.ToJsonString());
        Assert.Equal([2, 3], again.EosTokenIds);
        Assert.Equal(config with { EosTokenIds = [] }, again with { EosTokenIds = [] });
    }

    [Fact]
    public void A_padding_token_and_labels_of_the_source_stay()
    {
        var written = LlamaConfigFile.Write(TinyCheckpoint.Config, "float32", Parse(Edit("pad_token_id", "0", "_name_or_path", "\"x\"")));
        Assert.Equal(0, (int?)written["pad_token_id"]);
        Assert.False(written.ContainsKey("_name_or_path"));
    }

    private static JsonObject Parse(string json) => JsonNode.Parse(json)!.AsObject();

    /// <summary>The usual configuration with keys set to JSON texts, or removed.</summary>
    private static string Edit(params string?[] edits)
    {
        var json = Parse(LlamaForCausalLM);
        var more = "";
        for (var i = 0; i < edits.Length; i += 2)
        {
            json.Remove(edits[i]!);
            more += edits[i + 1] is { } value ? $",\"{edits[i]}\":{value}" : "";
        }

        return json.ToJsonString()[..^1] + more + "}";
    }

    /// <summary>What is written is read as the same.</summary>
    private static void AssertWritten(LlamaConfig config)
    {
        var again = Read(LlamaConfigFile.Write(config, "bfloat16", null).ToJsonString());
        Assert.Equal(config.Windows, again.Windows);
        Assert.Equal(config.PositionConfig.ToSpec(), again.PositionConfig.ToSpec());
        // Lists are equal by reference only.
        Assert.Equal(config with { Windows = null, RopeScaling = null, NoRopeLayers = null, EosTokenIds = again.EosTokenIds }, again with { Windows = null, RopeScaling = null, NoRopeLayers = null });
    }

    private static List<string> Problems(string json)
    {
        var problems = new List<string>();
        LlamaConfigFile.Read(JsonFile.ParseObject(System.Text.Encoding.UTF8.GetBytes(json), "config.json"), problems);
        Assert.NotEmpty(problems);
        return problems;
    }

    private static LlamaConfig Read(string json)
    {
        var problems = new List<string>();
        var config = LlamaConfigFile.Read(Parse(json), problems);
        Assert.Empty(problems);
        return config;
    }
}
