using CutoffLen.Checkpoints;
using TorchSharp;

namespace CutoffLen.Cli.Tests.Commands;

public sealed class InitTests
{
    private static readonly string Demo = Path.Combine(Repository.Root, "configs", "demo", "model");

    [Fact]
    public void A_configuration_becomes_a_checkpoint_with_its_tokenizer()
    {
        using var folder = new TemporaryFolder();
        var output = Cutoff.Run("init", "--config", Demo, "--out", folder["new"], "--seed", "7", "--dtype", "bf16").Exits(0).Output;
        Assert.Matches("(?m)^parameters +5,270,784$", output);
        using var checkpoint = HuggingFaceCheckpoint.Open(folder["new"]);
        Assert.Equal(torch.ScalarType.BFloat16, checkpoint.StoredDtype);
        Assert.Equal(256, checkpoint.Config.NativeLength);
        Assert.Equal(File.ReadAllBytes(Path.Combine(Demo, "tokenizer.model")), File.ReadAllBytes(folder["new/tokenizer.model"]));
    }

    [Fact]
    public void The_seed_decides_the_weights()
    {
        using var folder = new TemporaryFolder();
        byte[] Made(string name, string seed)
        {
            Cutoff.Run("init", "--config", Path.Combine(Demo, "config.json"), "--out", folder[name], "--seed", seed).Exits(0);
            return File.ReadAllBytes(folder[name + "/model.safetensors"]);
        }

        var first = Made("a", "1");
        Assert.Equal(first, Made("b", "1"));
        Assert.NotEqual(first, Made("c", "2"));
    }

    [Theory]
    [InlineData("""{"model_type":"gpt2"}""", "\"model_type\" is 'gpt2'")]
    [InlineData("{", "config.json")]
    public void A_configuration_that_is_no_llama_is_one_error_and_leaves_nothing(string config, string expected)
    {
        using var folder = new TemporaryFolder();
        folder.Write("config.json", config);
        var result = Cutoff.Run("init", "--config", folder.Root, "--out", folder["new"]).Exits(1);
        Assert.Contains(expected, Assert.Single(result.ErrorLines), StringComparison.Ordinal);
        Assert.False(Directory.Exists(folder["new"]));
    }

    [Fact]
    public void A_number_format_that_is_not_stored_is_named_with_those_that_are()
    {
        var result = Cutoff.Run("init", "--config", Demo, "--out", "x", "--dtype", "int8").Exits(1);
        Assert.Contains("'int8' is not a number format of stored weights; allowed are fp32 and bf16", result.Error, StringComparison.Ordinal);
    }
}
