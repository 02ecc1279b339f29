using System.Text.Json;

namespace CutoffLen.Cli.Tests.Commands;

public sealed class EnvCommandTests
{
    [Fact]
    public void Json_is_one_line_with_every_key()
    {
        var result = Cutoff.Run("env", "--json").Exits(0);
        Assert.Single(result.Output.TrimEnd('\n').Split('\n'));
        using var document = JsonDocument.Parse(result.Output);
        var env = document.RootElement;
        string[] keys = ["cutoff", "torch", "devices", "cpu", "threads", "device", "dtype", "dtype_reason", "dotnet", "system", "memory"];
        Assert.Equal(keys, env.EnumerateObject().Select(property => property.Name));
        Assert.Matches(@"^\d+\.\d+", env.GetProperty("torch").GetProperty("libtorch").GetString());
        Assert.Equal("cpu", env.GetProperty("devices")[0].GetProperty("id").GetString());
        Assert.InRange(env.GetProperty("memory").GetProperty("available_bytes").GetInt64(), 1, env.GetProperty("memory").GetProperty("total_bytes").GetInt64());
    }

    [Theory]
    [InlineData("fp32")]
    [InlineData("bf16")]
    public void The_choice_follows_the_options(string dtype)
    {
        using var document = JsonDocument.Parse(Cutoff.Run("env", "--json", "--device", "cpu", "--dtype", dtype, "--threads", "3").Exits(0).Output);
        Assert.Equal("cpu", document.RootElement.GetProperty("device").GetString());
        Assert.Equal(dtype, document.RootElement.GetProperty("dtype").GetString());
        Assert.Equal(3, document.RootElement.GetProperty("threads").GetInt32());
    }

    [Fact]
    public void OMP_NUM_THREADS_is_respected()
    {
        var result = CutoffProcess.Run(["env", "--json"], null, new Dictionary<string, string?> { ["OMP_NUM_THREADS"] = "1" }).Exits(0);
        using var document = JsonDocument.Parse(result.Output);
        Assert.Equal(1, document.RootElement.GetProperty("threads").GetInt32());
    }

    [Fact]
    public void People_get_a_line_a_fact_without_colours()
    {
        var result = Cutoff.Run("env").Exits(0);
        Assert.Matches(@"(?m)^torch +libtorch \d+\.\d+", result.Output);
        Assert.Matches(@"(?m)^dtype +(fp32|bf16) \(.+\)$", result.Output);
        Assert.DoesNotContain('\e', result.Output);
    }

    [Fact]
    public void An_unknown_dtype_exits_1_and_lists_the_allowed() =>
        Assert.Equal(
            "cutoff: --dtype fp16: not a number format of cutoff; allowed are auto, fp32 and bf16",
            Assert.Single(Cutoff.Run("env", "--dtype", "fp16").Exits(1).ErrorLines));

    [Theory]
    [InlineData("x")]
    [InlineData("-1")]
    [InlineData("5000")]
    public void A_wrong_number_of_threads_exits_1_and_names_the_range(string threads) =>
        Assert.Equal(
            $"cutoff env: --threads: '{threads}' is not a whole number from 0 to 4096",
            Assert.Single(Cutoff.Run("env", "--threads", threads).Exits(1).ErrorLines));
}
