using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace Standins.Tests.Tokenizers;

public sealed class RegexPreTokenizerTests
{
    [Theory]
    [InlineData(@"\w+", "ab, c", "ab|c")]
    [InlineData(@"\s+(?!\S)|\s+|\S+", "a   b  ", "a|  | |b|  ")]
    [InlineData(@"(?i:'s|'t)|\p{L}+|.", "it'S", "it|'S")]
    [InlineData("^a", "aab", "a|a")]
    [InlineData("a|(?<=a)b", "ab", "a")]
    [InlineData(@"\w+", "", "")]
    public void Words_are_matches_each_found_as_if_the_text_began_after_the_one_before(string regex, string text, string words)
    {
        var tokenizer = new RegexPreTokenizer(new Regex(regex), null);
        Assert.Equal(words, Words(tokenizer.PreTokenize(text), text));
        Assert.Equal(words, Words(tokenizer.PreTokenize(text.AsSpan()), text));
    }

    [Theory]
    [InlineData("x<b>y", "x|<b>|y")]
    [InlineData("<b><b>", "<b>|<b>")]
    [InlineData("x  <b> y", "x|  |<b>| |y")]
    [InlineData("<b>!", "<b>!")]
    public void Special_tokens_are_words_of_their_own_the_first_listed_wins(string text, string words)
    {
        var special = new Dictionary<string, int> { ["<b>!"] = 1, ["<b>"] = 2, ["<b>?"] = 3 };
        Assert.Equal(words, Words(new RegexPreTokenizer(new Regex(@"\w+|\s+(?!\S)|\s+"), special).PreTokenize(text), text));
        Assert.Equal("<b>|?", Words(new RegexPreTokenizer(new Regex("."), special).PreTokenize("<b>?"), "<b>?"));
    }

    private static string Words(IEnumerable<(int Offset, int Length)> ranges, string text) =>
        string.Join('|', ranges.Select(range => text.Substring(range.Offset, range.Length)));
}
