using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Tokenization.Expressions;

namespace CutoffLen.Tests.Tokenization.Expressions;

/// <summary>What doc/RE of Oniguruma says. <see cref="OnigurumaOracleTests"/> asks Oniguruma itself.</summary>
public sealed class OnigurumaRegexTests
{
    [Theory]
    [InlineData(@"\p{L}+|\p{N}{1,3}|[^\s\p{L}\p{N}]+", "x𝐇y1𝟘𝟙𝟚👍🏻𠀀", "x𝐇y", "1𝟘𝟙", "𝟚", "👍🏻", "𠀀")]
    [InlineData("[𐐀-𐑏]+", "a𐐀𐑏𐒀", "𐐀𐑏")]
    [InlineData("[^𐐀-𐑏]+", "a𐐀𐑏𐒀", "a", "𐒀")]
    [InlineData("[^a]", "a😀b", "😀", "b")]
    [InlineData(".", "😀\n𐐀", "😀", "𐐀")]
    [InlineData("😀+", "a😀😀b", "😀😀")]
    [InlineData("[😀-🙏]{2}", "😀🙏🙐😀", "😀🙏")]
    [InlineData(@"[\x{1F600}-\x{1F64F}\u4e00]", "😀一", "😀", "一")]
    [InlineData(@"\P{L}+", "a𐐀😀1b", "😀1")]
    public void Characters_beyond_the_basic_plane_are_one_character_each(string expression, string text, params string[] matches) =>
        Assert.Equal(matches, Matches(expression, text));

    [Theory]
    [InlineData("[a-w&&[^c-g]z]+", "abcghwz", "ab", "hw")]
    [InlineData("[^a&&[ab]]+", "abc", "bc")]
    [InlineData("[a[^b]c]", "b", new string[0])]
    [InlineData("[]a]+", "a]b", "a]")]
    [InlineData("[^]a]+", "a]b", "b")]
    [InlineData(@"[\w-.]+", "a-.!", "a-.")]
    [InlineData("[a-c-e]+", "ac-ed", "ac-e")]
    [InlineData("[[:alpha:]]+", "aé𐐀ⅷ1\u0345-", "aé𐐀ⅷ", "\u0345")]
    [InlineData("[[:^alpha:][b]]+", "ab1", "b1")]
    [InlineData("[[:punct:]]+", "a+«x", "+«")]
    [InlineData(@"\p{Han}+", "一、二㐀々〇ア", "一", "二㐀々〇")]
    [InlineData(@"[\p{Lu}&&\p{Latin}]+", "AÀΑ", "AÀ")]
    [InlineData(@"\p{^L}+|\P{^L}", "a1😀", "a", "1😀")]
    [InlineData(@"\h+", "xyz0aFg", "0aF")]
    [InlineData(@"[^(\s|[.,])]+", "a,b (c|d.", "a", "b", "c", "d")]
    public void Classes_are_sets(string expression, string text, params string[] matches) => Assert.Equal(matches, Matches(expression, text));

    [Theory]
    [InlineData("^.", "ab\ncd\n", "a", "c")]
    [InlineData("^$", "a\n\n", "")]
    [InlineData(@"\s+$", "a  \n  b  ", "  ", "  ")]
    [InlineData(@"a\Z", "a\na\n", "a")]
    [InlineData(@"a\z", "a\na", "a")]
    [InlineData(@"\Aa", "aa", "a")]
    [InlineData(@"\b\w+\b", "ab \u0301c \u200D", "ab", "\u0301c")]
    [InlineData(@"\Bb", "ab b", "b")]
    [InlineData("(?m:a.)b|.", "a\nb", "a\nb")]
    [InlineData(@"\R", "a\r\nb\u2028", "\r\n", "\u2028")]
    [InlineData(@"\N\O", "a\n\nb", "a\n")]
    public void Lines_end_at_line_feeds_in_every_mode(string expression, string text, params string[] matches) => Assert.Equal(matches, Matches(expression, text));

    [Theory]
    [InlineData("a?+a", "a", new string[0])]
    [InlineData("a++b|a", "aab", "aab")]
    [InlineData("a{1,2}+", "aaaaa", "aaaaa")]
    [InlineData("(?:ab){2}?", "ababab", "abab", "")]
    [InlineData("a{,2}b", "aaab", "aab")]
    [InlineData("a{1,3}?", "aaa", "a", "a", "a")]
    [InlineData("a{x}", "a{x}", "a{x}")]
    [InlineData("(?x) a # one\n b", "ab", "ab")]
    [InlineData("a(?#b)c", "ac", "ac")]
    [InlineData("(?<name>a)(b)", "ab", "ab")]
    [InlineData("(?>a|ab)c|.", "abc", "a", "b", "c")]
    public void Quantifiers_and_groups_are_Onigurumas(string expression, string text, params string[] matches) =>
        Assert.Equal(matches.Where(match => match.Length > 0), Matches(expression, text).Where(match => match.Length > 0));

    [Theory]
    [InlineData("(?i:'s|'k)", "'S'\u017F'K'\u212A", "'S", "'\u017F", "'K", "'\u212A")]
    [InlineData("(?i:[sdmt]|ll)", "LLſDx", "LL", "ſ", "D")]
    [InlineData("a(?i)b|c", "aBaCac", "aB", "aC", "ac")]
    [InlineData("(?i:a(?-i:b))c", "AbcABcAbC", "Abc")]
    [InlineData(@"(?i:\p{L}+)1", "aé𐐀1", "aé𐐀1")]
    [InlineData("(?i:[^s])", "sSſx", "x")]
    public void Case_is_ignored_as_Unicode_folds_it(string expression, string text, params string[] matches) => Assert.Equal(matches, Matches(expression, text));

    [Theory]
    [InlineData("(?i:stra\u00dfe)", "(?i) over")]
    [InlineData("(?i:pass)", "(?i) over ss")]
    [InlineData(@"(?i:\p{Lu})", "(?i) over")]
    [InlineData(@"(a)\1", @"\1")]
    [InlineData(@"\X", @"\X")]
    [InlineData(@"\Ga", @"\G")]
    [InlineData("(?~a)", "(?~")]
    [InlineData("(?P<a>b)", "(?P")]
    [InlineData("(?s:.)", "whose options may be i, m and x")]
    [InlineData(@"\p{Klingon}", @"\p{Klingon}; supported are general categories, POSIX brackets, and the scripts Arabic")]
    [InlineData("[[:nobody:]]", "[:nobody:]")]
    [InlineData("[z-a]", "a range in reverse order")]
    [InlineData("[]", "an empty class")]
    [InlineData("[a", "an end in the middle")]
    [InlineData("(a", "a ( without its )")]
    [InlineData("a)", "a ) without its (")]
    [InlineData("+a", "a + that follows nothing")]
    [InlineData(@"\xE9", @"\xE9, a part of a character")]
    [InlineData(@"\ud800", "a code that is no character")]
    [InlineData("a{3,1}", "a{3,1}")]
    [InlineData(@"\pL", @"\p without a name in { }")]
    [InlineData("(?:a?)*", "a repeat of what can match nothing")]
    [InlineData(@"(?:\b|a)+?", "a repeat of what can match nothing")]
    [InlineData(@"(?<=\R)a", @"\R in a look-behind")]
    public void What_has_no_exact_translation_is_named(string expression, string fault)
    {
        var message = Assert.Throws<InvalidDataException>(() => new OnigurumaRegex(expression)).Message;
        Assert.StartsWith($"the expression {JsonFile.Show(expression)} ", message, StringComparison.Ordinal);
        Assert.Contains(fault, message, StringComparison.Ordinal);
        Assert.Contains("not supported", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData('(', "a")]
    [InlineData('[', "a")]
    public void Deep_nesting_is_an_error_and_no_overflow_of_the_stack(char opening, string content) => Assert.Contains(
        "in each other", Assert.Throws<InvalidDataException>(() => new OnigurumaRegex(new string(opening, 2000) + content)).Message, StringComparison.Ordinal);

    [Fact]
    public void A_very_long_expression_is_refused() => Assert.Contains(
        "has 2049 characters", Assert.Throws<InvalidDataException>(() => new OnigurumaRegex(new string('{', 2049))).Message, StringComparison.Ordinal);

    [Fact]
    public void A_long_text_is_matched_like_a_short_one()
    {
        var line = string.Concat(Enumerable.Repeat("the 𐐀 whale 12\n", 20));
        var regex = new OnigurumaRegex(@"\p{L}+|\p{N}|\s+");
        var few = regex.Matches(line).Count;
        Assert.Equal(few * 2000, regex.Matches(string.Concat(Enumerable.Repeat(line, 2000))).Count);
        Assert.Equal(few, regex.Matches(line).Count);
    }

    [Fact]
    public void An_expression_that_would_never_end_does_end()
    {
        var fault = Assert.Throws<UserException>(() => new OnigurumaRegex("(a|aa)+$").Matches(new string('a', 60) + "b")).Message;
        Assert.Contains("(a|aa)+$", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Matches_are_replaced()
    {
        Assert.Equal("a_b_", new OnigurumaRegex(" {2,}").Replace("a  b   ", "_"));
        Assert.Equal("_a_b_", new OnigurumaRegex("").Replace("ab", "_"));
        Assert.Equal("ab", new OnigurumaRegex("c").Replace("ab", "_"));
    }

    private static List<string> Matches(string expression, string text) =>
        new OnigurumaRegex(expression).Matches(text).ConvertAll(match => text[match.Start..match.End]);
}
