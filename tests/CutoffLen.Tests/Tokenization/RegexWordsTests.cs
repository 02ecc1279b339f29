using System.Text.RegularExpressions;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Tokenization;

public sealed class RegexWordsTests
{
    [Fact]
    public void Characters_beyond_the_basic_plane_are_what_they_are()
    {
        // Mathematical letters and digits, an emoji with a skin tone, a Han character of extension B.
        Assert.Equal(["x\U0001D407y", "1\U0001D7D8\U0001D7D9", "\U0001D7DA", "\U0001F44D\U0001F3FB", "\U00020000"], Words(
            "x\U0001D407y1\U0001D7D8\U0001D7D9\U0001D7DA\U0001F44D\U0001F3FB\U00020000", @"\p{L}+|\p{N}{1,3}|[^\s\p{L}\p{N}]+"));
    }

    [Fact]
    public void What_no_expression_matches_is_a_word_too() => Assert.Equal(["a", "b", "  ", "c"], Words("ab  c", "[a-c]"));

    [Fact]
    public void Each_expression_cuts_what_those_before_left_whole() => Assert.Equal(["a", "1", "2", "b", " ", "3"], Words("a12b 3", @"\s", "[0-9]"));

    [Fact]
    public void An_empty_match_cuts_as_in_Hugging_Faces_library() => Assert.Equal(["a", "b"], Words("ab", "x*"));

    private static List<string> Words(string text, params string[] expressions) =>
        [.. new RegexWords([.. expressions.Select(expression => new Regex(expression))]).PreTokenize(text).Select(word => text.Substring(word.Offset, word.Length))];
}
