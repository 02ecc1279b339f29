using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Common;
using CutoffLen.Models.Llama;
using TorchSharp;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints;

public sealed class HuggingFaceCheckpointTests : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Dispose();
    }

    [Theory]
    [InlineData("tiny-random-llama", ScalarType.Float32, 1)]
    [InlineData("tiny-random-llama-bf16", ScalarType.BFloat16, 1)]
    [InlineData("tiny-random-llama-sharded", ScalarType.Float32, 2)]
    [InlineData("tiny-random-llama-tied-headdim", ScalarType.Float32, 1)]
    public void Hugging_Faces_own_checkpoints_open(string name, ScalarType stored, int files)
    {
        using var checkpoint = HuggingFaceCheckpoint.Open(Golden.Path(name));
        Assert.Equal(stored, checkpoint.StoredDtype);
        Assert.Equal(files, checkpoint.FileCount);
        Assert.Equal(LlamaParameters.Count(checkpoint.Config), checkpoint.Tensors.Values.Sum(tensor => tensor.Shape.Aggregate(1L, (a, b) => a * b)));
        Assert.Equal([2], checkpoint.EosTokenIds);
        Assert.Equal(name.EndsWith("headdim", StringComparison.Ordinal) ? 24 : 16, checkpoint.Config.HeadDim);
        Assert.Equal(64, checkpoint.Config.NativeLength);
    }

    [Fact]
    public void The_model_has_exactly_the_parameters_that_are_listed()
    {
        foreach (var config in new[]
        {
            TinyCheckpoint.Config,
            TinyCheckpoint.Config with { TieWordEmbeddings = true, HeadDim = 6, NumKeyValueHeads = 1 },
            TinyCheckpoint.Config with { QkvBias = true, OutputBias = true, MlpBias = true },
            TinyCheckpoint.Config with { ModelType = "qwen2", QkvBias = true },
        })
        {
            var model = new LlamaForCausalLM(config, (_, shape) => zeros(shape));
            Assert.Equal(
                LlamaParameters.Of(config).Select(parameter => $"{parameter.Name} {string.Join(',', parameter.Shape)}").Order(StringComparer.Ordinal),
                model.named_parameters().Select(parameter => $"{parameter.name} {string.Join(',', parameter.parameter.shape)}").Order(StringComparer.Ordinal));
            Assert.Equal(model.parameters().Sum(parameter => parameter.numel()), LlamaParameters.Count(config));
        }
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void Save_then_load_is_the_identity_bit_for_bit(ScalarType dtype)
    {
        var weights = TinyCheckpoint.Weights(TinyCheckpoint.Config, seed: 3, dtype);
        CheckpointWriter.Save(folder["a"], TinyCheckpoint.Config, weights);
        var loaded = TinyCheckpoint.Load(folder["a"]);
        Assert.Equal(weights.Count, loaded.Count);
        Assert.All(weights, weight => Assert.Equal(weight.Tensor.bytes.ToArray(), loaded[weight.Name]));
    }

    [Fact]
    public void Saving_what_was_loaded_gives_the_same_files()
    {
        TinyCheckpoint.Save(folder["a"], seed: 5);
        using var checkpoint = HuggingFaceCheckpoint.Open(folder["a"]);
        var model = checkpoint.Load();
        CheckpointWriter.Save(folder["b"], checkpoint.Config, model.named_parameters().Select(p => (p.name, (Tensor)p.parameter)), source: folder["a"]);
        foreach (var file in Directory.EnumerateFiles(folder["a"]))
        {
            Assert.Equal(File.ReadAllBytes(file), File.ReadAllBytes(Path.Combine(folder["b"], Path.GetFileName(file))));
        }
    }

    [Fact]
    public void Shards_hold_what_one_file_holds()
    {
        TinyCheckpoint.Save(folder["one"], seed: 1);
        TinyCheckpoint.Save(folder["many"], seed: 1, maxShardBytes: 4000);
        var shards = Directory.EnumerateFiles(folder["many"], "*.safetensors").Select(Path.GetFileName).Order(StringComparer.Ordinal).ToList();
        Assert.True(shards.Count > 3);
        Assert.Equal($"model-00001-of-{shards.Count:D5}.safetensors", shards[0]);
        Assert.All(shards, shard => Assert.True(new FileInfo(Path.Combine(folder["many"], shard!)).Length < 6000));
        Assert.Equal(TinyCheckpoint.Load(folder["one"]), TinyCheckpoint.Load(folder["many"]));
        var index = JsonNode.Parse(File.ReadAllText(Path.Combine(folder["many"], "model.safetensors.index.json")))!;
        Assert.Equal(LlamaParameters.Count(TinyCheckpoint.Config) * 4, (long)index["metadata"]!["total_size"]!);
    }

    [Fact]
    public void Two_models_from_one_open_checkpoint_share_no_memory()
    {
        TinyCheckpoint.Save(folder["a"]);
        using var checkpoint = HuggingFaceCheckpoint.Open(folder["a"]);
        var (one, two) = (checkpoint.Load(), checkpoint.Load());
        one.HeadWeight.fill_(7);
        Assert.NotEqual(7, two.HeadWeight[0, 0].item<float>());
    }

    [Fact]
    public void Weights_are_converted_on_request_and_stay_after_the_checkpoint_is_closed()
    {
        TinyCheckpoint.Save(folder["a"], seed: 2);
        LlamaForCausalLM model;
        using (var checkpoint = HuggingFaceCheckpoint.Open(folder["a"]))
        {
            model = checkpoint.Load(dtype: ScalarType.BFloat16);
        }

        var expected = TinyCheckpoint.Weights(TinyCheckpoint.Config, seed: 2);
        Assert.All(model.named_parameters(), parameter =>
            Assert.True(parameter.parameter.eq(expected.Single(weight => weight.Name == parameter.name).Tensor.to(ScalarType.BFloat16)).all().item<bool>()));
    }

    [Fact]
    public void A_tied_head_that_is_stored_as_well_must_be_the_embedding()
    {
        var tied = TinyCheckpoint.Config with { TieWordEmbeddings = true };
        var weights = TinyCheckpoint.Weights(TinyCheckpoint.Config);
        CheckpointWriter.Save(folder["a"], TinyCheckpoint.Config, weights);
        TinyCheckpoint.EditConfig(folder["a"], json => json["tie_word_embeddings"] = true);
        using (var differs = HuggingFaceCheckpoint.Open(folder["a"]))
        {
            Assert.Contains("lm_head.weight differs", Assert.Throws<UserException>(() => differs.Load()).Message, StringComparison.Ordinal);
        }

        weights[^1] = ("lm_head.weight", weights[0].Tensor);
        SafetensorsWriter.Write(Path.Combine(folder["a"], "model.safetensors"), weights);
        using var same = HuggingFaceCheckpoint.Open(folder["a"]);
        Assert.Equal(LlamaParameters.Of(tied).Count(), same.Load().named_parameters().Count());
    }

    [Fact]
    public void Tensors_that_nobody_needs_are_passed_over()
    {
        var weights = TinyCheckpoint.Weights(TinyCheckpoint.Config);
        TinyCheckpoint.Save(folder["a"]);
        weights.AddRange([("model.layers.0.self_attn.rotary_emb.inv_freq", ones(2)), ("model.rotary_emb.inv_freq", ones(2)), ("v_head.summary.bias", ones(1))]);
        SafetensorsWriter.Write(Path.Combine(folder["a"], "model.safetensors"), weights);
        HuggingFaceCheckpoint.Open(folder["a"]).Dispose();
    }

    [Fact]
    public void Everything_that_is_wrong_is_said_at_once()
    {
        var weights = TinyCheckpoint.Weights(TinyCheckpoint.Config);
        TinyCheckpoint.Save(folder["a"]);
        weights.RemoveAll(weight => weight.Name.StartsWith("model.layers.1.mlp", StringComparison.Ordinal));
        weights[3] = (weights[3].Name, zeros(3, 3));
        weights.Add(("extra\u001b[0m", ones(1)));
        SafetensorsWriter.Write(Path.Combine(folder["a"], "model.safetensors"), weights);
        var lines = Fault("a").Split('\n');
        Assert.Equal(3, lines.Length);
        Assert.Contains("missing tensors: 'model.layers.1.mlp.gate_proj.weight', 'model.layers.1.mlp.up_proj.weight', 'model.layers.1.mlp.down_proj.weight'", lines[0], StringComparison.Ordinal);
        Assert.Contains(@"unexpected tensors: 'extra\u001B[0m'", lines[1], StringComparison.Ordinal);
        Assert.Contains("'model.layers.0.self_attn.k_proj.weight' has shape [3, 3], but config.json asks for [8, 16]", lines[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Pickled_weights_are_refused_with_the_way_to_convert_them()
    {
        TinyCheckpoint.Save(folder["a"]);
        File.Move(Path.Combine(folder["a"], "model.safetensors"), Path.Combine(folder["a"], "pytorch_model.bin"));
        var fault = Fault("a");
        Assert.Contains("pytorch_model.bin", fault, StringComparison.Ordinal);
        Assert.Contains("safe_serialization=True", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void A_folder_that_is_none_is_named()
    {
        Assert.Contains("no such folder", Fault("none"), StringComparison.Ordinal);
        folder.Write("file", "");
        Assert.Contains("is a file", Fault("file"), StringComparison.Ordinal);
        Directory.CreateDirectory(folder["empty"]);
        var fault = Fault("empty");
        Assert.Contains("config.json", fault, StringComparison.Ordinal);
        Assert.Contains("neither model.safetensors nor model.safetensors.index.json; it holds nothing", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void The_end_tokens_are_those_of_generation_config()
    {
        TinyCheckpoint.Save(folder["a"]);
        folder.Write("a/generation_config.json", """{"eos_token_id":[3,4],"temperature":0.6}""");
        using (var checkpoint = HuggingFaceCheckpoint.Open(folder["a"]))
        {
            Assert.Equal([3, 4], checkpoint.EosTokenIds);
        }

        folder.Write("a/generation_config.json", """{"eos_token_id":[3,400]}""");
        Assert.Contains("token ids from 0 to 39", Fault("a"), StringComparison.Ordinal);
    }

    [Fact]
    public void Tokenizer_files_and_generation_settings_come_from_the_source()
    {
        TinyCheckpoint.Save(folder["a"]);
        folder.Write("a/tokenizer.json", "{}");
        File.SetAttributes(folder["a/tokenizer.json"], FileAttributes.ReadOnly);
        folder.Write("a/generation_config.json", """{"temperature":0.6}""");
        CheckpointWriter.Save(folder["b"], TinyCheckpoint.Config, TinyCheckpoint.Weights(TinyCheckpoint.Config), source: folder["a"]);
        Assert.Equal("{}", File.ReadAllText(folder["b/tokenizer.json"]));
        Assert.Equal("""{"temperature":0.6}""", File.ReadAllText(folder["b/generation_config.json"]));
        // In place too: what is being replaced is the source.
        CheckpointWriter.Save(folder["a"], TinyCheckpoint.Config, TinyCheckpoint.Weights(TinyCheckpoint.Config), source: folder["a"]);
        Assert.Equal("{}", File.ReadAllText(folder["a/tokenizer.json"]));
    }

    [Fact]
    public void Weights_that_do_not_fit_the_configuration_are_a_mistake_of_the_program()
    {
        var weights = TinyCheckpoint.Weights(TinyCheckpoint.Config);
        Assert.Throws<ArgumentException>(() => CheckpointWriter.Save(folder["a"], TinyCheckpoint.Config, weights.Skip(1)));
        Assert.Throws<ArgumentException>(() => CheckpointWriter.Save(folder["a"], TinyCheckpoint.Config, weights.Append(("more", ones(1)))));
        Assert.False(Directory.Exists(folder["a"]));
    }

    private string Fault(string name) => Assert.Throws<UserException>(() => HuggingFaceCheckpoint.Open(folder[name])).Message;
}
