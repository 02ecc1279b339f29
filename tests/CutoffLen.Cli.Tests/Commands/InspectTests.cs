using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Checkpoints.Gguf;

namespace CutoffLen.Cli.Tests.Commands;

public sealed class InspectTests
{
    [Fact]
    public void Json_tells_architecture_positions_and_theory()
    {
        var json = JsonNode.Parse(Cutoff.Run("inspect", Golden.Path("tiny-random-llama-tied-headdim"), "--json").Exits(0).Output)!;
        Assert.Equal(104_016, (long)json["architecture"]!["parameters"]!);
        Assert.Equal(24, (int)json["architecture"]!["head_dim"]!);
        Assert.True((bool)json["architecture"]!["tie_word_embeddings"]!);
        Assert.Equal("rope", (string?)json["positions"]!["method"]);
        Assert.Equal(64, (int)json["positions"]!["native_length"]!);
        // 2 * ceil(24 / 2 * ln(64 / 2pi) / ln 500000) = 2 * ceil(2.12)
        Assert.Equal(6, (int)json["theory"]!["critical_dimension"]!);
        Assert.Equal(2 * Math.PI * Math.Pow(500_000, 6 / 24.0), (double)json["theory"]!["extrapolation_bound"]!, 9);
        Assert.Equal("fp32", (string?)json["files"]!["dtype"]);
        Assert.Null(json["tokenizer"]);
    }

    [Fact]
    public void People_get_lines_that_name_the_tokenizer_and_the_position_method()
    {
        using var folder = new TemporaryFolder();
        foreach (var file in Directory.EnumerateFiles(Golden.Path("tiny-random-llama")).Where(file => file.Contains("model.safetensors", StringComparison.Ordinal)))
        {
            File.Copy(file, folder[Path.GetFileName(file)]);
        }

        var config = JsonNode.Parse(File.ReadAllText(Golden.Path("tiny-random-llama/config.json")))!;
        config["rope_scaling"] = JsonNode.Parse("""{"rope_type":"linear","factor":4.0}""");
        folder.Write("config.json", config.ToJsonString());
        var output = Cutoff.Run("inspect", folder.Root).Exits(0).Output;
        Assert.Matches("(?m)^tokenizer +none in this folder$", output);
        Assert.Matches("(?m)^positions +linear:factor=4, base 10,000$", output);
        Assert.Matches("(?m)^model +llama, 225,856 parameters$", output);
    }

    [Fact]
    public void A_configuration_alone_is_shown_without_its_weights()
    {
        using var folder = new TemporaryFolder();
        File.Copy(Golden.Path("configs/v5_no_rope_type.json"), folder["config.json"]);
        foreach (var path in new[] { folder.Root, folder["config.json"] })
        {
            var output = Cutoff.Run("inspect", path).Exits(0).Output;
            Assert.Contains($"checkpoint  {path}: a configuration without weights", output);
            Assert.Matches("(?m)^positions +rope, base 500,000$", output);
        }

        Assert.Null(JsonNode.Parse(Cutoff.Run("inspect", folder.Root, "--json").Exits(0).Output)!["files"]);
        // A part of the weights is no configuration alone, but a download that broke off.
        folder.Write("model-00001-of-00002.safetensors", "");
        Assert.Contains("has neither model.safetensors nor model.safetensors.index.json", Cutoff.Run("inspect", folder.Root).Exits(1).Error);
    }

    [Fact]
    public void A_gguf_file_is_named_with_its_own_types()
    {
        using var folder = new TemporaryFolder();
        var cache = Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        Environment.SetEnvironmentVariable("XDG_CACHE_HOME", folder["cache"]);
        try
        {
            TinyCheckpoint.Save(folder["model"], TinyCheckpoint.Config with { HiddenSize = 32, HeadDim = 8, IntermediateSize = 64 });
            GgufExport.Write(folder["model"], folder["tiny.gguf"], GgufType.Q8);
            // 9 tensors of each layer, the embedding, the last norm, the head: 20,992 numbers in blocks of 34 bytes, and 160 in float32.
            Assert.Contains($"checkpoint  {folder["tiny.gguf"]}: 21 tensors in 1 file, 22.4 KiB, q8_0 and f32\n", Cutoff.Run("inspect", folder["tiny.gguf"]).Exits(0).Output);
            GgufExport.Write(folder["model"], folder["tiny.gguf"], GgufType.BF16);
            Assert.Equal("bf16 and f32", (string)JsonNode.Parse(Cutoff.Run("inspect", folder["tiny.gguf"], "--json").Exits(0).Output)!["files"]!["dtype"]!);
        }
        finally
        {
            Environment.SetEnvironmentVariable("XDG_CACHE_HOME", cache);
        }
    }

    [Theory]
    [InlineData("qwen25_card", "yarn:factor=4,original=32768")]
    [InlineData("yarn_mscale0", "yarn:factor=40,original=4096,beta_fast=32,beta_slow=1,mscale=1")]
    [InlineData("empty_scaling", "rope")]
    [InlineData("r1_distill_qwen", "rope")]
    public void Reported_configurations_have_the_method_of_transformers_5(string name, string method) =>
        Assert.Equal(method, (string)JsonNode.Parse(Cutoff.Run("inspect", Golden.Path($"configs/{name}.json"), "--json").Exits(0).Output)!["positions"]!["method"]!);

    [Fact]
    public void A_damaged_checkpoint_exits_1_and_names_every_fault()
    {
        using var folder = new TemporaryFolder();
        folder.Write("config.json", """{"model_type":"gpt2"}""");
        folder.Write("model.safetensors", "version https://git-lfs.github.com/spec/v1\n");
        var result = Cutoff.Run("inspect", folder.Root).Exits(1);
        Assert.Empty(result.Output);
        Assert.Equal(2, result.ErrorLines.Length);
        Assert.Contains("config.json: \"model_type\" is 'gpt2'", result.ErrorLines[0], StringComparison.Ordinal);
        Assert.Contains("git lfs pull", result.ErrorLines[1], StringComparison.Ordinal);
    }
}
