using System.Text.Json.Nodes;
using CutoffLen.Tokenization;

namespace CutoffLen.Cli.Tests.Commands;

public sealed class TokenizeTests
{
    private static readonly string Model = Golden.Path("tokenizers/bytes");

    [Fact]
    public void Text_becomes_ids_and_ids_become_text()
    {
        var json = Run("the whale", "--json");
        Assert.Matches(@"^\{""ids"":\[438,\d+(,\d+)*\]\}\n$", json);
        Assert.Equal("{\"text\":\"<|begin|>the whale\"}\n", Run("--decode", json, "--json"));
        Assert.Equal("the whale\n", Run("--decode", "--no-special", Run("the whale")));
        Assert.DoesNotContain("438", Run("the whale", "--no-special"), StringComparison.Ordinal);
    }

    [Fact]
    public void Text_comes_from_a_file_or_from_standard_input_as_well()
    {
        using var folder = new TemporaryFolder();
        const string text = "the whale\r\n  \u9CB8 \U0001F600\n\n";
        var file = folder.Write("text.txt", text);
        var ids = Run(text);
        Assert.Equal(ids, Run("--file", file));
        Assert.Equal(ids, CutoffProcess.Run(["tokenize", "-m", Model], text).Exits(0).Output);
        Assert.Equal("<|begin|>" + text + "\n", Run("--decode", "--file", folder.Write("ids.txt", ids)));
    }

    [Fact]
    public void Text_that_looks_like_an_option_or_a_file_of_options_is_text()
    {
        Assert.Equal("<|begin|>@user\n", Run("--decode", Run("@user")));
        Assert.Equal("<|begin|>--json\n", Run("--decode", Run("--", "--json")));
    }

    [Theory]
    [InlineData("1 x 2", "TEXT: 'x' is not a token id")]
    [InlineData("[1,2", "not valid JSON")]
    [InlineData("{\"a\":1}", "\"ids\" or \"input_ids\"")]
    [InlineData("1 99999", "99999 is not a token")]
    [InlineData("-5", "'-5'")]
    public void Ids_that_are_none_exit_1(string ids, string fault) =>
        Assert.Contains(fault, Assert.Single(Cutoff.Run("tokenize", "-m", Model, "--decode", "--", ids).Exits(1).ErrorLines), StringComparison.Ordinal);

    [Fact]
    public void Bytes_that_are_no_text_exit_1()
    {
        using var folder = new TemporaryFolder();
        var line = Assert.Single(Cutoff.Run("tokenize", "-m", Model, "--file", folder.Write("x", [0x61, 0xFF])).Exits(1).ErrorLines);
        Assert.Contains("not UTF-8", line, StringComparison.Ordinal);
    }

    [Fact]
    public void Without_ICU_a_tokenizer_that_normalizes_is_refused_in_words()
    {
        using var folder = new TemporaryFolder();
        var tokenizer = JsonNode.Parse(File.ReadAllText(Golden.Path("tokenizers/bytes/tokenizer.json")))!;
        tokenizer["normalizer"] = new JsonObject { ["type"] = "NFC" };
        var file = folder.Write("model/tokenizer.json", tokenizer.ToJsonString());
        Assert.Equal(CheckpointTokenizer.Open(folder["model"]).Encode("\u00e9"), CheckpointTokenizer.Open(folder["model"]).Encode("e\u0301"));

        // .NET without ICU is invariant mode, which the program's own runtimeconfig.json switches off.
        var program = Path.ChangeExtension(CutoffProcess.Executable, null);
        var runtime = JsonNode.Parse(File.ReadAllText(program + ".runtimeconfig.json"))!;
        runtime["runtimeOptions"]!["configProperties"]!["System.Globalization.Invariant"] = true;
        var result = CutoffProcess.Run(
            ["exec", "--runtimeconfig", folder.Write("invariant.json", runtime.ToJsonString()), program + ".dll", "tokenize", "-m", folder["model"], "whale"],
            input: null, executable: Path.Combine(CutoffProcess.DotnetRoot, "dotnet"));
        var line = Assert.Single(result.Exits(1).ErrorLines);
        Assert.Contains(file, line, StringComparison.Ordinal);
        Assert.Contains("install libicu", line, StringComparison.Ordinal);
    }

    private static string Run(params string[] arguments) => Cutoff.Run(["tokenize", "-m", Model, .. arguments]).Exits(0).Output;
}
