using System.Text.Json.Nodes;
using CutoffLen.Tokenization.Expressions;
using CutoffLen.Tokenization.HuggingFace;

namespace CutoffLen.Tests.Tokenization.HuggingFace;

public sealed class UnicodeFormsTests
{
    private static readonly Func<string, string> Nfc = UnicodeForms.To("NFC");

    [Fact]
    public void Random_sequences_of_marks_and_letters_come_out_as_Pythons_unicodedata_has_them()
    {
        // Python's are of Unicode 14; characters that came after Unicode 9 stay as they are here.
        var pairs = JsonNode.Parse(File.ReadAllText(Golden.Path("tokenizers/nfc.json")))!["pairs"]!.AsArray()
            .Where(pair => !((string)pair![0]!).EnumerateRunes().Any(rune => UnicodeTables.Property("NormalizedSinceUnicode10").Contains(rune.Value))).ToList();
        Assert.Equal(132, pairs.Count);
        foreach (var pair in pairs)
        {
            Assert.Equal((string)pair![1]!, Nfc((string)pair[0]!));
            Assert.Equal((string)pair[1]!, Nfc((string)pair[1]!));
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
    public void The_examples_of_the_standard_hold(string text, string form) => Assert.Equal(form, Nfc(text));

    [Theory]
    [InlineData("NFC", "ﬁ²é")]
    [InlineData("NFD", "ﬁ²e\u0301")]
    [InlineData("NFKC", "fi2é")]
    [InlineData("NFKD", "fi2e\u0301")]
    public void Each_form_is_the_one_named(string form, string expected) => Assert.Equal(expected, UnicodeForms.To(form)("ﬁ²é"));

    [Theory]
    [InlineData("e\U0001193E\u0301\u00E9")] // a mark of Unicode 13
    [InlineData("\U00011935\U00011930")] // two letters of Unicode 13 that later versions make one of
    [InlineData("a\uFFFEb\uFFFF")]
    public void Later_characters_and_those_that_are_none_are_left_as_they_are(string text) => Assert.Equal(text, Nfc(text));

    [Fact]
    public void Half_a_surrogate_pair_becomes_the_replacement_character()
    {
        Assert.Equal("a\uFFFD", UnicodeForms.WellFormed("a\ud800"));
        Assert.Equal("\uFFFDb😀", UnicodeForms.WellFormed("\udc00b😀"));
        Assert.Equal("whale", UnicodeForms.WellFormed("whale"));
    }
}
