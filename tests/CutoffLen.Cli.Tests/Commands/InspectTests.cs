using System.Text.Json.Nodes;

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
