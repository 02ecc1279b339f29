using CutoffLen.Tests.Tokenization.HuggingFace;
using CutoffLen.Tokenization.Expressions;
using CutoffLen.Tokenization.HuggingFace;

namespace CutoffLen.Tests.Tokenization.Expressions;

/// <summary>Parts of texts by Oniguruma itself, in Hugging Face's own library.</summary>
public sealed class OnigurumaOracleTests
{
    [Theory]
    [InlineData(PublishedExpressions.Gpt2)]
    [InlineData(PublishedExpressions.Llama3)]
    [InlineData(PublishedExpressions.Qwen2)]
    [InlineData(PublishedExpressions.Gpt4)]
    [InlineData(PublishedExpressions.Gpt4o)]
    [InlineData(PublishedExpressions.Tekken)]
    [InlineData(PublishedExpressions.Kimi)]
    [InlineData(PublishedExpressions.DeepSeekLetters)]
    [InlineData(PublishedExpressions.DeepSeek3)]
    [InlineData(" ?[^(\\s|[.,!?…。，、।۔،])]+")]
    [InlineData(@"\s+$|\s?[!-/:-~！-／：-～‘-‟　-。]+|[一-龥ࠀ-一가-퟿]+")]
    [InlineData("[𐐀-𐑏]+|[^𐐀-𐑏]")]
    [InlineData(@"[\x{1F000}-\x{1FFFF}]+|😀?[\p{Han}\p{Hiragana}\p{Katakana}]+|\p{Hangul}+|\p{Arabic}+|\p{Thai}+|\p{Cyrillic}+|\p{Latin}+")]
    [InlineData(@"^.|.$|\A\s|\s\z|\s\Z")]
    [InlineData(@"\b\w+\b|\B[^\w]")]
    [InlineData(@"[[:alpha:]]+|[[:digit:]]+|[[:punct:]]+|[[:space:]]+|[[:cntrl:]]+|[[:graph:]]")]
    [InlineData(@"[[:lower:]]+|[[:upper:]]+|[[:alnum:]]+|[[:^print:]]+|[[:blank:]]+|[[:word:]]|[[:xdigit:]]")]
    [InlineData(@"(?i:[sdmt]k?|ll)|(?i)'S|a")]
    [InlineData(@"(?m:a.)|.(?=\R)|\R|\N|\O")]
    [InlineData(@"\p{N}{1,2}+\p{L}?+|(?>a|ab)c|[a-z]{,2}?x|(?<=\s)\S{2}?|(?<!\S)\h+")]
    [InlineData("x*")]
    [InlineData("")]
    public void Every_expression_cuts_as_Oniguruma_does(string expression)
    {
        var regex = new OnigurumaRegex(expression);
        foreach (var (behavior, invert) in Enum.GetValues<SplitDelimiterBehavior>().SelectMany(behavior => new[] { (behavior, false), (behavior, true) }))
        {
            using var oracle = new OnigurumaOracle(expression, behavior.ToString(), invert);
            foreach (var text in SampleTexts.Fixed.Concat(Enumerable.Range(0, 20).Select(SampleTexts.Random)))
            {
                var parts = SplitDelimiter.Parts(regex.Matches(text), text.Length, behavior, invert)
                    .Where(part => part.End > part.Start).Select(part => text[part.Start..part.End]);
                Assert.Equal((text, string.Join('|', oracle.Parts(text))), (text, string.Join('|', parts)));
            }
        }
    }
}
