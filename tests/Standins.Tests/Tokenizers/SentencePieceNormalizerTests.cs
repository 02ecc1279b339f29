using Microsoft.ML.Tokenizers;

namespace Standins.Tests.Tokenizers;

public sealed class SentencePieceNormalizerTests
{
    private static readonly Dictionary<string, int> Special = new() { ["[A]"] = 1, ["[B]"] = 2 };

    [Theory]
    [InlineData("a b", "▁a▁b")]
    [InlineData("  a   b  ", "▁▁▁a▁▁▁b▁▁")]
    [InlineData("a\tb\nc\u00A0d", "▁a\tb\nc\u00A0d")]
    [InlineData("▁a", "▁▁a")]
    [InlineData(" ", "▁▁")]
    [InlineData("", "")]
    public void Llamas_escapes_spaces_and_adds_one(string text, string expected) =>
        Assert.Equal(expected, new SentencePieceNormalizer(false, true, true, false, null).Normalize(text));

    [Theory]
    [InlineData("  a   b  ", "▁a▁b")]
    [InlineData("ab", "▁ab")]
    [InlineData("   ", "▁")]
    public void Extra_spaces_can_be_removed(string text, string expected) =>
        Assert.Equal(expected, new SentencePieceNormalizer(true, true, true, false, null).Normalize(text));

    [Theory]
    [InlineData("a")]
    [InlineData("  a ")]
    public void Removing_extra_spaces_loses_a_text_of_one_character_as_in_the_package(string text) =>
        Assert.Equal("", new SentencePieceNormalizer(true, true, true, false, null).Normalize(text));

    [Theory]
    [InlineData(false, true, false, " a b")]
    [InlineData(false, false, true, "a▁b")]
    [InlineData(false, false, false, "a b")]
    [InlineData(true, true, true, "a▁b▁")]
    [InlineData(true, false, true, "a▁b")]
    public void Each_setting_can_be_switched(bool suffix, bool addSpace, bool escape, string expected) =>
        Assert.Equal(expected, new SentencePieceNormalizer(false, addSpace, escape, suffix, null).Normalize("a b".AsSpan()));

    [Theory]
    [InlineData("[A][B]ab", false, "[A][B]▁ab")]
    [InlineData("ab[A]", false, "▁ab[A]")]
    [InlineData("[A]", false, "[A]")]
    [InlineData("ab[A][B]", true, "ab▁[A][B]")]
    [InlineData("[A]ab", true, "[A]ab▁")]
    public void The_added_space_goes_between_special_tokens_and_text(string text, bool suffix, string expected) =>
        Assert.Equal(expected, new SentencePieceNormalizer(false, true, true, suffix, Special).Normalize(text));

    [Fact]
    public void Settings_can_be_read_back()
    {
        var normalizer = new SentencePieceNormalizer(true, false, true, false, Special);
        Assert.Equal((true, false, true, false), (normalizer.RemoveExtraWhiteSpaces, normalizer.AddDummyPrefix, normalizer.EscapeWhiteSpaces, normalizer.TreatWhitespaceAsSuffix));
        Assert.Same(Special, normalizer.SpecialTokens);
    }
}
