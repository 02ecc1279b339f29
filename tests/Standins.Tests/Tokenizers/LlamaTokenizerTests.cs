using Microsoft.ML.Tokenizers;

namespace Standins.Tests.Tokenizers;

public sealed class LlamaTokenizerTests
{
    private static readonly LlamaTokenizer Llama = Fixtures.Open("llama");

    [Theory]
    [InlineData("llama")]
    [InlineData("trimming")]
    public void Ids_are_SentencePieces_own_where_no_two_equal_pairs_compete(string model)
    {
        var tokenizer = Fixtures.Open(model);
        var file = ModelFile.Read(Fixtures.Bytes(model));
        var (first, last) = (PlainBpe.Of(file, lastOfEqualsFirst: false), PlainBpe.Of(file, lastOfEqualsFirst: true));
        var references = Fixtures.SentencePiece[model]
            .Where(reference => reference.Text.Trim(' ').Length > 1)
            .Where(reference => Normalized(tokenizer, reference) is var text && first.Encode(text).SequenceEqual(last.Encode(text)))
            .ToList();

        Assert.True(references.Count > 30, $"only {references.Count} texts are left");
        Assert.All(references, reference => Assert.Equal(reference.Ids, tokenizer.EncodeToIds(reference.Text)));
    }

    [Theory]
    [InlineData("llama")]
    [InlineData("trimming")]
    public void Of_equal_pairs_the_last_is_joined_first(string model)
    {
        var tokenizer = Fixtures.Open(model);
        var plain = PlainBpe.Of(ModelFile.Read(Fixtures.Bytes(model)), lastOfEqualsFirst: true);
        Assert.All(Fixtures.SentencePiece[model], reference =>
        {
            var text = Normalized(tokenizer, reference);
            Assert.Equal(PlainBpe.IdsOf(plain.Encode(text), tokenizer), tokenizer.EncodeToIds(text, considerNormalization: false));
        });
    }

    [Fact]
    public void Decoded_text_is_SentencePieces_own() =>
        Assert.All(Fixtures.SentencePiece["llama"], reference => Assert.Equal(reference.Decoded, Llama.Decode(reference.Ids)));

    [Fact]
    public void Settings_are_those_of_the_file()
    {
        Assert.Equal((true, true, true, false), (Llama.ByteFallback, Llama.AddDummyPrefix, Llama.EscapeWhiteSpaces, Llama.TreatWhitespaceAsSuffix));
        Assert.Equal((0, 1, 2), (Llama.UnknownId, Llama.BeginningOfSentenceId, Llama.EndOfSentenceId));
        Assert.Equal(("<unk>", "<s>", "</s>"), (Llama.UnknownToken, Llama.BeginningOfSentenceToken, Llama.EndOfSentenceToken));
        Assert.Equal(500, Llama.Vocabulary.Count);
        Assert.Equal(13, Llama.Vocabulary["<0x0A>"]);
        Assert.Null(Llama.PreTokenizer);
        Assert.False(Assert.IsType<SentencePieceNormalizer>(Llama.Normalizer).RemoveExtraWhiteSpaces);
    }

    [Fact]
    public void Sentence_marks_are_added_when_asked_for()
    {
        var ids = Llama.EncodeToIds("whale");
        var marked = Fixtures.Open("llama", begin: true, end: true);

        Assert.Equal([1, .. ids, 2], marked.EncodeToIds("whale"));
        Assert.Equal([1, .. ids], marked.EncodeToIds("whale", addBeginningOfSentence: true, addEndOfSentence: false));
        Assert.Equal([.. ids, 2], Llama.EncodeToIds("whale".AsSpan(), addBeginningOfSentence: false, addEndOfSentence: true));
        Assert.Equal(ids.Count + 2, marked.CountTokens("whale"));
        Assert.Equal(ids.Count, marked.CountTokens("whale", addBeginningOfSentence: false, addEndOfSentence: false));
        Assert.Equal("whale", marked.Decode(marked.EncodeToIds("whale")));
        Assert.Equal("<s>whale</s>", marked.Decode(marked.EncodeToIds("whale"), considerSpecialTokens: true).Replace("<s> ", "<s>"));
    }

    [Fact]
    public void Null_and_empty_texts_have_no_ids_not_even_sentence_marks()
    {
        var marked = Fixtures.Open("llama", begin: true, end: true);
        Assert.Empty(marked.EncodeToIds((string)null!));
        Assert.Empty(marked.EncodeToIds(""));
        Assert.Empty(marked.EncodeToTokens("", out var normalized));
        Assert.Null(normalized);
        Assert.Equal("", marked.Decode([]));
        Assert.Throws<ArgumentNullException>(() => marked.Decode(null!));
    }

    [Fact]
    public void Unknown_characters_become_their_bytes()
    {
        int[] bytes = [.. "é😀"u8];
        Assert.Equal([Llama.Vocabulary["▁"], .. bytes.Select(value => 3 + value)], Llama.EncodeToIds("é😀"));
        Assert.Equal("é😀", Llama.Decode(Llama.EncodeToIds("é😀")));
        Assert.Equal("\uFFFD!", Llama.Decode([3 + 0xC3, .. Llama.EncodeToIds("!", considerNormalization: false)]));
        // Half of a surrogate pair is U+FFFD.
        Assert.Equal(Llama.EncodeToIds("a\uFFFDb"), Llama.EncodeToIds("a\uD83Db"));
        Assert.Equal(Llama.EncodeToIds("a\uFFFDb"), Llama.EncodeToIds("a\uDE00b"));
    }

    [Fact]
    public void Without_byte_fallback_each_unknown_character_is_the_unknown_token()
    {
        var tokenizer = Of(new ModelFile { Pieces = [.. new ModelFile().Pieces, new("▁", -1), new("a", -2)] });
        Assert.Equal([3, 0, 4, 0, 0], tokenizer.EncodeToIds("xa😀é"));
        Assert.Equal("a", tokenizer.Decode([3, 0, 4, 0]));
        Assert.Equal("<unk>a", tokenizer.Decode([3, 0, 4], considerSpecialTokens: true));
    }

    [Fact]
    public void Tokens_tell_which_part_of_the_normalized_text_they_are()
    {
        var tokens = Llama.EncodeToTokens("the é", out var normalized);
        Assert.Equal("▁the▁é", normalized);
        Assert.Equal(["▁the", "▁", "<0xC3>", "<0xA9>"], tokens.Select(token => token.Value));
        Assert.Equal(["▁the", "▁", "é", ""], tokens.Select(token => normalized![token.Offset]));
        Assert.Equal(Llama.EncodeToIds("the é"), tokens.Select(token => token.Id));
        Assert.Equal(tokens, Llama.EncodeToTokens("the é".AsSpan(), out _));
    }

    [Fact]
    public void Special_tokens_are_cut_out_of_the_text_and_left_out_of_the_decoded_one()
    {
        var special = new Dictionary<string, int> { ["[INST]"] = 500, ["<s>"] = 1 };
        var tokenizer = Fixtures.Open("llama", specialTokens: special);

        Assert.Equal([1, 500, .. Llama.EncodeToIds("whale"), 500], tokenizer.EncodeToIds("<s>[INST]whale[INST]"));
        Assert.Equal("whale", tokenizer.Decode([1, 500, .. Llama.EncodeToIds("whale"), 500]));
        Assert.Equal("<s>[INST]whale", tokenizer.Decode([1, 500, .. Llama.EncodeToIds("whale")], considerSpecialTokens: true));
        Assert.Same(special, tokenizer.SpecialTokens);
        Assert.DoesNotContain(1, Llama.EncodeToIds("<s>whale"));
    }

    [Fact]
    public void Ids_outside_the_vocabulary_have_no_text() =>
        Assert.Equal("whale", Llama.Decode([-5, .. Llama.EncodeToIds("whale"), 500, int.MaxValue]));

    [Fact]
    public void Unused_pieces_only_lead_to_others()
    {
        List<ModelPiece> pieces = [.. new ModelFile().Pieces, new("ab", -1, Type: 5), new("abc", -2), new("a", -3), new("b", -4), new("c", -5), new("d", -6)];
        var tokenizer = Of(new ModelFile { Pieces = pieces, AddDummyPrefix = false });
        Assert.Equal([4, 5, 6, 8], tokenizer.EncodeToIds("abcabd"));
    }

    [Fact]
    public void Several_threads_may_use_one_tokenizer()
    {
        var texts = Enumerable.Range(0, 200).Select(i => $"whale number {i * 7919} and {i} {(char)('a' + (i % 26))}x").ToArray();
        var alone = texts.Select(text => Llama.EncodeToIds(text)).ToArray();
        var shared = Fixtures.Open("llama");
        Parallel.For(0, 8 * texts.Length, i => Assert.Equal(alone[i % texts.Length], shared.EncodeToIds(texts[i % texts.Length])));
    }

    [Fact]
    public void A_word_of_a_million_letters_is_no_trouble()
    {
        var random = new Random(7);
        var word = string.Create(1_000_000, random, (letters, source) =>
        {
            foreach (ref var letter in letters)
                letter = (char)('a' + source.Next(26));
        });
        var clock = System.Diagnostics.Stopwatch.StartNew();
        var ids = Llama.EncodeToIds(word);

        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), $"took {clock.Elapsed}");
        Assert.Equal(word, Llama.Decode(ids));
    }

    private static string Normalized(LlamaTokenizer tokenizer, Reference reference) => tokenizer.Normalizer!.Normalize(reference.Text);

    private static LlamaTokenizer Of(ModelFile file) => LlamaTokenizer.Create(file.Open(), addBeginOfSentence: false);
}
