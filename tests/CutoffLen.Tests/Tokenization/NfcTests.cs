using System.Text.Json.Nodes;
using CutoffLen.Tests.Cli;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Tokenization;

public sealed class NfcTests
{
    [Fact]
    public void Random_sequences_of_marks_and_letters_come_out_as_Pythons_unicodedata_has_them()
    {
        var pairs = JsonNode.Parse(File.ReadAllText(Golden.Path("tokenizers/nfc.json")))!["pairs"]!.AsArray();
        Assert.Equal(160, pairs.Count);
        foreach (var pair in pairs)
        {
            Assert.Equal((string)pair![1]!, Nfc.Of((string)pair[0]!));
            Assert.Equal((string)pair[1]!, Nfc.Of((string)pair[1]!));
        }
    }

    [Theory]
    [InlineData("e\u0301", "é")]
    [InlineData("\u0301e", "\u0301e")]
    [InlineData("\u1100\u1161\u11A8", "\uAC01")]
    [InlineData("\uAC00\u11A8", "\uAC01")]
    [InlineData("\u212B", "\u00C5")]
    [InlineData("a\u0315\u0300\u05AE\u0062", "\u00E0\u05AE\u0315\u0062")]
    [InlineData("\u0958", "\u0915\u093C")]
    [InlineData("whale 鲸 😀", "whale 鲸 😀")]
    public void The_examples_of_the_standard_hold(string text, string form) => Assert.Equal(form, Nfc.Of(text));

    [Fact]
    public void Half_a_surrogate_pair_becomes_the_replacement_character() => Assert.Equal("a\uFFFD", Nfc.Of("a\ud800"));

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
}
