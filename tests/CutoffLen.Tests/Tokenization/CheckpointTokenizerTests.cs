using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Tokenization;

public sealed class CheckpointTokenizerTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_SentencePiece_model_gets_BOS_and_no_EOS_unless_the_configuration_says_otherwise()
    {
        var ids = Copy("sp-kept").Encode("whale", addSpecial: false);
        Assert.Equal([1, .. ids], Open().Encode("whale"));
        Assert.True(Open().SpecialTokens.AddsBos);
        Configure("""{"add_bos_token":false,"add_eos_token":true,"bos_token":"<s>","eos_token":{"content":"</s>"}}""");
        Assert.Equal([.. ids, 2], Open().Encode("whale"));
        Assert.Equal((1, 2), (Open().SpecialTokens.Bos, Open().SpecialTokens.Eos));
        Assert.False(Open().SpecialTokens.AddsBos);
    }

    [Fact]
    public void LLaMA_classes_follow_the_flags_and_all_others_the_template()
    {
        var ids = Copy("metaspace").Encode("whale", addSpecial: false);
        Configure("""{"tokenizer_class":"PreTrainedTokenizerFast","add_bos_token":false,"bos_token":"<s>","eos_token":"</s>"}""");
        Assert.Equal([1, .. ids, 2], Open().Encode("whale"));
        Configure("""{"tokenizer_class":"LlamaTokenizerFast","bos_token":"<s>","eos_token":"</s>"}""");
        Assert.Equal([1, .. ids], Open().Encode("whale"));
        Configure("""{"tokenizer_class":"LlamaTokenizer","add_bos_token":true,"eos_token":"</s>"}""");
        Assert.Contains("has no bos_token", Fault(), StringComparison.Ordinal);
        Configure("""{"bos_token":"<nobody>"}""");
        Assert.Contains("'<nobody>'", Fault(), StringComparison.Ordinal);
        Configure("""{"tokenizer_class":"LlamaTokenizer","add_bos_token":1}""");
        Assert.Contains("\"add_bos_token\" is '1'; allowed is true or false", Fault(), StringComparison.Ordinal);
    }

    [Fact]
    public void Tokens_added_to_a_SentencePiece_model_are_found_in_text()
    {
        var plain = Copy("sp-kept");
        var next = plain.VocabularySize;
        Configure($$"""
            {"added_tokens_decoder":{"1":{"content":"<s>","special":true},"{{next}}":{"content":"<|im_start|>","special":true},
            "{{next + 1}}":{"content":"<pad>","special":true} } }
            """);
        folder.Write("added_tokens.json", $"{{\"<|extra|>\":{next + 2},\"<s>\":1}}");
        var tokenizer = Open();
        Assert.Equal(next + 3, tokenizer.VocabularySize);
        Assert.Equal([next, .. plain.Encode("whale", false), next + 2], tokenizer.Encode("<|im_start|>whale<|extra|>", false));
        Assert.Equal(plain.Encode("<s>", false), tokenizer.Encode("<s>", false));
        Assert.Equal("whale<|extra|>", tokenizer.Decode(tokenizer.Encode("<|im_start|>whale<|extra|>"), skipSpecial: true));
    }

    [Fact]
    public void More_tokens_than_the_model_has_rows_are_refused()
    {
        var size = Copy("sp-kept").VocabularySize;
        Assert.Equal(size, CheckpointTokenizer.Open(folder.Root, size).VocabularySize);
        var fault = Assert.Throws<UserException>(() => CheckpointTokenizer.Open(folder.Root, size - 1)).Message;
        Assert.Contains($"ids up to {size - 1}, but the model's vocab_size is {size - 1}", fault, StringComparison.Ordinal);
    }

    [Fact]
    public void Ids_that_are_no_tokens_are_named()
    {
        var tokenizer = Copy("sp-kept");
        Assert.Contains("520 is not a token", Assert.Throws<UserException>(() => tokenizer.Decode([1, 520])).Message, StringComparison.Ordinal);
        Assert.Contains("-1 is not a token", Assert.Throws<UserException>(() => tokenizer.Decode([-1])).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_character_whose_bytes_are_spread_over_tokens_is_streamed_when_it_is_whole()
    {
        var tokenizer = Copy("sp-kept");
        var ids = tokenizer.Encode("a 鯨 b", addSpecial: false);
        var stream = tokenizer.DecodeStream(afterText: false);
        var pieces = ids.Select(stream.Push).ToList();
        Assert.Equal("a 鯨 b", string.Concat(pieces) + stream.Flush());
        Assert.Contains("鯨", pieces);
        Assert.Contains("", pieces);
        Assert.DoesNotContain(pieces, piece => piece.Contains('\uFFFD', StringComparison.Ordinal));

        var cut = tokenizer.DecodeStream(afterText: true);
        var begun = string.Concat(ids.TakeWhile((_, at) => pieces[at] != "鯨").Select(cut.Push));
        Assert.Equal(" a ", begun);
        Assert.Equal("\uFFFD", cut.Flush());
    }

    [Fact]
    public void The_fingerprint_changes_with_the_file_and_with_the_rules()
    {
        var first = Copy("sp-kept").Fingerprint;
        Assert.Equal(first, Open().Fingerprint);
        Configure("""{"add_eos_token":true}""");
        var second = Open().Fingerprint;
        var third = Copy("sp-trimmed").Fingerprint;
        Assert.Equal(3, new[] { first, second, third }.Distinct().Count());
        Assert.All(new[] { first, second, third }, hash => Assert.Matches("^[0-9a-f]{64}$", hash));
    }

    [Fact]
    public void Many_threads_get_the_ids_of_one()
    {
        var tokenizer = Copy("bytes");
        var texts = Enumerable.Range(0, 200).Select(n => $"the whale {n} and Ishmael {n * 7919}").ToList();
        var expected = texts.ConvertAll(text => string.Join(' ', tokenizer.Encode(text)));
        var fresh = Open();
        Assert.Equal(expected, texts.AsParallel().AsOrdered().WithDegreeOfParallelism(4).Select(text => string.Join(' ', fresh.Encode(text))));
    }

    [Fact]
    public void A_folder_without_a_tokenizer_is_named_and_so_is_the_way_out()
    {
        Assert.False(CheckpointTokenizer.ExistsIn(folder.Root));
        Assert.Contains("no tokenizer.model and no tokenizer.json", Fault(), StringComparison.Ordinal);
        folder.Write("vocab.json", "{}");
        Assert.Contains("save_pretrained", Fault(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("model.type", "\"Unigram\"", "model.type is \"Unigram\"; supported is BPE")]
    [InlineData("model.dropout", "0.1", "dropout")]
    [InlineData("model.byte_fallback", "false", "byte_fallback")]
    [InlineData("model.end_of_word_suffix", "\"</w>\"", "end_of_word_suffix")]
    [InlineData("model.vocab", "{\"<0x00>\":0}", "byte <0x01> is missing")]
    [InlineData("model.merges", "[\"nobody knows\"]", "nobody")]
    [InlineData("model.vocab", "[]", "model.vocab is []; allowed is an object")]
    [InlineData("model.vocab", "{\"a\":-1}", "model.vocab.a is -1; allowed is a token id")]
    [InlineData("model.vocab", "{\"a\":0,\"b\":0}", "model.vocab.b")]
    [InlineData("model.merges", "[\"a b c\"]", "model.merges[0] is \"a b c\"")]
    [InlineData("model.merges", "[[\"\u2581\",\"t\"],[\"\u2581\",\"t\"]]", "not a tokenizer that can be used")]
    [InlineData("model.merges", "7", "model.merges is 7; allowed is a list")]
    [InlineData("normalizer", "{\"type\":\"Lowercase\"}", "normalizer is {\"type\":\"Lowercase\"}; supported are NFC")]
    [InlineData("normalizer", "null", "must be either of the byte-level kind")]
    [InlineData("pre_tokenizer", "{\"type\":\"Whitespace\"}", "pre_tokenizer is {\"type\":\"Whitespace\"}")]
    [InlineData("post_processor", "{\"type\":\"BertProcessing\"}", "post_processor is")]
    [InlineData("post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[]}", "leaves the text out")]
    [InlineData("post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}]}", "special_tokens does not have")]
    [InlineData("added_tokens", "[{\"id\":1,\"content\":\"\"}]", "added_tokens[0] has no content")]
    [InlineData("added_tokens", "[{\"id\":1,\"content\":\"x\"},{\"id\":2,\"content\":\"x\"}]", "two added tokens are the same")]
    public void What_would_give_other_ids_is_an_error_not_a_guess(string key, string value, string fault)
    {
        var json = JsonNode.Parse(File.ReadAllText(Golden.Path("tokenizers/metaspace/tokenizer.json")))!.AsObject();
        var inModel = key.StartsWith("model.", StringComparison.Ordinal);
        (inModel ? json["model"]! : json)[inModel ? key[6..] : key] = JsonNode.Parse(value);
        var path = folder.Write("tokenizer.json", json.ToJsonString());
        Assert.StartsWith(path, Fault(), StringComparison.Ordinal);
        Assert.Contains(fault, Fault(), StringComparison.Ordinal);
    }

    [Fact]
    public void An_expression_that_would_never_end_does_end()
    {
        var json = JsonNode.Parse(File.ReadAllText(Golden.Path("tokenizers/bytes/tokenizer.json")))!.AsObject();
        json["pre_tokenizer"]!["pretokenizers"]![0]!["pattern"]!["Regex"] = "(a+)+$";
        folder.Write("tokenizer.json", json.ToJsonString());
        var fault = Assert.Throws<UserException>(() => Open().Encode(new string('a', 60) + "b")).Message;
        Assert.Contains("(a+)+$", fault, StringComparison.Ordinal);
        json["pre_tokenizer"]!["pretokenizers"]![0]!["pattern"]!["Regex"] = "(a";
        folder.Write("tokenizer.json", json.ToJsonString());
        Assert.Contains("(a", Fault(), StringComparison.Ordinal);
    }

    [Fact]
    public void Half_a_surrogate_pair_is_read_as_the_replacement_character()
    {
        foreach (var name in new[] { "sp-kept", "bytes" })
        {
            var tokenizer = Copy(name);
            Assert.Equal(tokenizer.Encode("a\uFFFDb"), tokenizer.Encode("a\ud800b"));
            Assert.Equal(tokenizer.Encode("a\uFFFD"), tokenizer.Encode("a\udc00"));
        }
    }

    private CheckpointTokenizer Copy(string name)
    {
        foreach (var file in Directory.EnumerateFiles(folder.Root))
        {
            File.Delete(file);
        }

        foreach (var file in Directory.EnumerateFiles(Golden.Path($"tokenizers/{name}"), "tokenizer.*"))
        {
            File.Copy(file, folder[Path.GetFileName(file)]);
        }

        return Open();
    }

    private void Configure(string json) => folder.Write("tokenizer_config.json", json);

    private CheckpointTokenizer Open() => CheckpointTokenizer.Open(folder.Root);

    private string Fault() => Assert.Throws<UserException>(() => Open()).Message;
}
