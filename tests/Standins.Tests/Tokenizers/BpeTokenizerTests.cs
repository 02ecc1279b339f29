using System.Text.RegularExpressions;
using Microsoft.ML.Tokenizers;

namespace Standins.Tests.Tokenizers;

public sealed class BpeTokenizerTests
{
    private static readonly Dictionary<string, int> Letters = new() { ["a"] = 10, ["b"] = 20, ["c"] = 30, ["ab"] = 40, ["abc"] = 50, ["bc"] = 60, ["?"] = 70 };

    private static readonly RegexPreTokenizer WholeText = new(new Regex("(?s).+"), null);

    [Theory]
    [InlineData("abc", new[] { 50 })]
    [InlineData("bcab", new[] { 60, 40 })]
    [InlineData("abbc", new[] { 40, 60 })]
    [InlineData("cba", new[] { 30, 20, 10 })]
    public void The_first_merge_in_the_list_is_made_first(string text, int[] ids) =>
        Assert.Equal(ids, Make(["a b", "b c", "ab c"]).EncodeToIds(text));

    [Fact]
    public void The_order_of_merges_matters() =>
        Assert.Equal([10, 60], Make(["b c", "a b", "ab c"]).EncodeToIds("abc"));

    [Fact]
    public void Of_equal_pairs_the_first_is_merged_first() =>
        Assert.Equal([2, 2, 1], BpeTokenizer.Create(new BpeOptions(new Dictionary<string, int> { ["a"] = 1, ["aa"] = 2 }) { Merges = ["a a"] }).EncodeToIds("aaaaa"));

    [Theory]
    [InlineData(null, false, new[] { 40, 30 })]
    [InlineData("?", false, new[] { 10, 70, 70, 20, 30, 70 })]
    [InlineData("?", true, new[] { 10, 70, 20, 30, 70 })]
    public void Unknown_characters_vanish_or_become_unknown_tokens(string? unknown, bool fuse, int[] ids)
    {
        var tokenizer = BpeTokenizer.Create(new BpeOptions(Letters) { Merges = ["a b"], PreTokenizer = WholeText, UnknownToken = unknown, FuseUnknownTokens = fuse });
        Assert.Equal(ids, tokenizer.EncodeToIds("ax😀bcé"));
        Assert.Equal(ids, tokenizer.EncodeToTokens("ax😀bcé", out _).Select(token => token.Id));
    }

    [Fact]
    public void Unknown_tokens_tell_which_characters_they_stand_for()
    {
        var tokenizer = BpeTokenizer.Create(new BpeOptions(Letters) { Merges = ["a b"], PreTokenizer = WholeText, UnknownToken = "?" });
        Assert.Equal(["ab", "x", "😀", "c"], tokenizer.EncodeToTokens("abx😀c", out _).Select(token => "abx😀c"[token.Offset]));
    }

    [Fact]
    public void Without_a_pre_tokenizer_words_and_punctuation_are_cut_and_white_space_is_lost()
    {
        var tokenizer = Make(["a b"]);
        Assert.Equal([40, 70, 70, 30], tokenizer.EncodeToIds("ab ??\tc"));
        Assert.Equal([(0, 2), (3, 2), (6, 1)], tokenizer.PreTokenizer!.PreTokenize("ab ??\tc"));
        Assert.Equal([40, 40], tokenizer.EncodeToIds("ab ab", considerPreTokenization: false));
    }

    [Fact]
    public void Special_tokens_are_words_that_become_one_id()
    {
        var special = new Dictionary<string, int> { ["<a>"] = 7, ["bb"] = 8 };
        var tokenizer = BpeTokenizer.Create(new BpeOptions(Letters) { SpecialTokens = special, PreTokenizer = new RegexPreTokenizer(new Regex(@"\w+"), special) });

        Assert.Equal([10, 7, 20], tokenizer.EncodeToIds("a<a>b"));
        Assert.Equal([8, 20], tokenizer.EncodeToIds("bb,b"));
        Assert.Equal("a<a>b", tokenizer.Decode([10, 7, 20]));
        Assert.Equal("ab", tokenizer.Decode([10, 7, 20], considerSpecialTokens: false));
        Assert.Equal("<a>", Assert.Single(tokenizer.EncodeToTokens("<a>", out _)).Value);
    }

    [Fact]
    public void A_normalizer_comes_first_and_can_be_passed_over()
    {
        var tokenizer = BpeTokenizer.Create(new BpeOptions(Letters) { Normalizer = new Lower(), Merges = ["a b"] });
        Assert.Equal([40], tokenizer.EncodeToIds("AB"));
        Assert.Empty(tokenizer.EncodeToIds("AB", considerNormalization: false));
        Assert.Equal("ab", Assert.Single(tokenizer.EncodeToTokens("AB", out var normalized)).Value);
        Assert.Equal("ab", normalized);
    }

    [Fact]
    public void Null_and_empty_texts_have_no_ids()
    {
        var tokenizer = Make([]);
        Assert.Empty(tokenizer.EncodeToIds((string)null!));
        Assert.Empty(tokenizer.EncodeToIds(""));
        Assert.Empty(tokenizer.EncodeToIds([]));
        Assert.Empty(tokenizer.EncodeToTokens("", out _));
        Assert.Equal(0, tokenizer.CountTokens(""));
        Assert.Equal("", tokenizer.Decode([]));
        Assert.Throws<ArgumentNullException>(() => tokenizer.Decode(null!));
    }

    [Fact]
    public void Ids_outside_the_vocabulary_have_no_text() => Assert.Equal("ac", Make([]).Decode([10, 11, -1, 30, int.MaxValue]));

    [Fact]
    public void Byte_level_tokens_span_whole_characters()
    {
        var tokenizer = BpeTokenizer.Create(new BpeOptions(ByteLetters()) { ByteLevel = true, PreTokenizer = WholeText });
        var tokens = tokenizer.EncodeToTokens("é😀", out _);
        Assert.Equal([0xC3, 0xA9, 0xF0, 0x9F, 0x98, 0x80], tokens.Select(token => token.Id));
        Assert.Equal([0..1, 0..1, 1..2, 1..2, 1..2, 1..2], tokens.Select(token => token.Offset));
        Assert.Equal("é😀", tokenizer.Decode(tokens.Select(token => token.Id)));
        Assert.Equal("\uFFFD!", tokenizer.Decode([0xC3, '!']));
    }

    [Fact]
    public void Half_a_surrogate_pair_is_three_bytes_that_are_no_text()
    {
        var tokenizer = BpeTokenizer.Create(new BpeOptions(ByteLetters()) { ByteLevel = true, PreTokenizer = WholeText });
        Assert.Equal([0xED, 0xA0, 0xBD, 'x'], tokenizer.EncodeToIds("\uD83Dx"));
        Assert.Equal("\uFFFD\uFFFD\uFFFDx", tokenizer.Decode([0xED, 0xA0, 0xBD, 'x']));
    }

    [Fact]
    public void What_was_given_can_be_read_back()
    {
        var special = new Dictionary<string, int> { ["<a>"] = 7 };
        var tokenizer = BpeTokenizer.Create(new BpeOptions(Letters) { SpecialTokens = special, PreTokenizer = WholeText, UnknownToken = "?", FuseUnknownTokens = true, ByteLevel = true });
        Assert.Equal(Letters, tokenizer.Vocabulary);
        Assert.Same(special, tokenizer.SpecialTokens);
        Assert.Same(WholeText, tokenizer.PreTokenizer);
        Assert.Null(tokenizer.Normalizer);
        Assert.Equal(("?", true, true), (tokenizer.UnknownToken, tokenizer.FuseUnknownTokens, tokenizer.ByteLevel));
    }

    [Theory]
    [InlineData("ab")]
    [InlineData("a ")]
    [InlineData("a b c")]
    [InlineData("a x")]
    [InlineData("x a")]
    [InlineData("c a")]
    public void Merges_that_are_not_two_tokens_that_make_a_third_are_refused(string merge) =>
        Assert.Throws<InvalidOperationException>(() => Make([merge]));

    [Fact]
    public void What_is_given_twice_or_missing_is_refused()
    {
        Assert.Throws<ArgumentNullException>(() => BpeTokenizer.Create(null!));
        Assert.Throws<ArgumentNullException>(() => new BpeOptions((IEnumerable<KeyValuePair<string, int>>)null!));
        Assert.Throws<ArgumentNullException>(() => new RegexPreTokenizer(null!, null));
        Assert.Throws<InvalidOperationException>(() => BpeTokenizer.Create(new BpeOptions(new Dictionary<string, int>())));
        Assert.Throws<InvalidOperationException>(() => BpeTokenizer.Create(new BpeOptions(Letters) { UnknownToken = "x" }));
        Assert.Throws<InvalidOperationException>(() => Make([null!]));
        Assert.Throws<ArgumentException>(() => Make(["a b", "a b"]));
        Assert.Throws<ArgumentException>(() => BpeTokenizer.Create(new BpeOptions([new("a", 1), new("a", 2)])));
        Assert.Throws<ArgumentException>(() => BpeTokenizer.Create(new BpeOptions([new("a", 1), new("b", 1)])));
    }

    [Fact]
    public void Vocabulary_and_merges_can_come_from_files()
    {
        var folder = Directory.CreateTempSubdirectory();
        try
        {
            var (vocabulary, merges) = (Path.Combine(folder.FullName, "vocab.json"), Path.Combine(folder.FullName, "merges.txt"));
            File.WriteAllText(vocabulary, """{"a": 1, "b": 2, "ab": 3}""");
            File.WriteAllText(merges, "#version: 0.2\n\na b\n");
            Assert.Equal([3, 1], BpeTokenizer.Create(new BpeOptions(vocabulary, merges)).EncodeToIds("aba"));
            Assert.Equal([1, 2], BpeTokenizer.Create(new BpeOptions(vocabulary)).EncodeToIds("ab"));

            File.WriteAllText(merges, "a b\nab\n");
            Assert.Contains("2", Assert.Throws<InvalidOperationException>(() => new BpeOptions(vocabulary, merges)).Message, StringComparison.Ordinal);
            File.WriteAllText(vocabulary, """{"a": "1"}""");
            Assert.Throws<System.Text.Json.JsonException>(() => new BpeOptions(vocabulary));
            File.WriteAllText(vocabulary, "null");
            Assert.Throws<InvalidOperationException>(() => new BpeOptions(vocabulary));
            Assert.Throws<ArgumentException>(() => new BpeOptions(Path.Combine(folder.FullName, "none.json")));
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Fact]
    public void A_word_of_many_letters_is_no_trouble()
    {
        var word = string.Concat(Enumerable.Repeat("abcb", 25_000));
        var tokenizer = Make(["a b", "ab c"]);
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var ids = tokenizer.EncodeToIds(word);

        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), $"took {clock.Elapsed}");
        Assert.Equal(Enumerable.Range(0, 50_000).Select(i => i % 2 == 0 ? 50 : 20), ids);
    }

    private static BpeTokenizer Make(IEnumerable<string> merges) => BpeTokenizer.Create(new BpeOptions(Letters) { Merges = merges });

    private static Dictionary<string, int> ByteLetters()
    {
        var others = 0;
        return Enumerable.Range(0, 256).ToDictionary(
            value => (value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : (char)(256 + others++)).ToString(),
            value => value);
    }

    private sealed class Lower : Normalizer
    {
        public override string Normalize(string original) => original.ToLowerInvariant();

        public override string Normalize(ReadOnlySpan<char> original) => Normalize(original.ToString());
    }
}
