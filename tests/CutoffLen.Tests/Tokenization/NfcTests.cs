using System.Text.Json.Nodes;
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
}
