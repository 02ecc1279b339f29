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
        Assert.DoesNotContain(1, plain.Encode("<s>", false));
        Configure($$"""
            {"added_tokens_decoder":{"1":{"content":"<s>","special":true},"{{next}}":{"content":"<|im_start|>","special":true},
            "{{next + 3}}":{"content":"<tool>"} },"pad_token":"[PAD]"}
            """);
        folder.Write("added_tokens.json", $"{{\"<|old|>\":{next + 1}}}");
        var tokenizer = Open();
        Assert.Equal(next + 5, tokenizer.VocabularySize);
        Assert.Equal([next, .. plain.Encode("whale", false), next + 3], tokenizer.Encode("<|im_start|>whale<tool>", false));
        Assert.Equal([1, next + 4], tokenizer.Encode("<s>[PAD]", false));
        Assert.Equal(plain.Encode("<|old|>", false), tokenizer.Encode("<|old|>", false));
        Assert.Equal("whale<tool>", tokenizer.Decode(tokenizer.Encode("<|im_start|>whale<tool>"), skipSpecial: true));
    }

    [Fact]
    public void Older_folders_have_their_added_tokens_in_two_other_files()
    {
        var plain = Copy("sp-kept");
        var next = plain.VocabularySize;
        Configure("""{"bos_token":"<s>","eos_token":"<s>"}""");
        folder.Write("special_tokens_map.json", """{"eos_token":{"content":"</s>"},"pad_token":"[PAD]"}""");
        folder.Write("added_tokens.json", $"{{\"[PAD]\":{next},\"<tool>\":{next + 1}}}");
        var tokenizer = Open();
        Assert.Equal((1, 2), (tokenizer.SpecialTokens.Bos, tokenizer.SpecialTokens.Eos));
        Assert.Equal("<tool>", tokenizer.Decode([next, next + 1], skipSpecial: true));
        folder.Write("added_tokens.json", """{"[PAD]":"seven"}""");
        Assert.Contains("added_tokens.json: '[PAD]' is", Fault(), StringComparison.Ordinal);
    }

    [Fact]
    public void Without_legacy_a_space_is_put_at_the_beginning_only()
    {
        var plain = Copy("sp-kept");
        Configure("""{"added_tokens_decoder":{"1":{"content":"<s>","special":true} },"bos_token":"<s>","add_bos_token":false}""");
        Assert.Equal([.. plain.Encode("whale", false), 1, .. plain.Encode("whale", false)], Open().Encode("whale<s>whale"));
        Configure("""{"added_tokens_decoder":{"1":{"content":"<s>","special":true} },"bos_token":"<s>","add_bos_token":false,"legacy":false}""");
        Assert.Equal([.. plain.Encode("whale", false), 1, .. plain.Encode(" whale", false)], [.. Open().Encode("whale"), 1, .. plain.Encode(" whale", false)]);
        Assert.Equal("whale<s>whale", Open().Decode(Open().Encode("whale<s>whale")));
        Assert.NotEqual(plain.Encode("whale", false), Open().Encode("<s>whale")[1..]);
    }

    [Fact]
    public void The_file_that_transformers_would_use_wins()
    {
        var (model, json) = (Golden.Path("tokenizers/sp-kept/tokenizer.model"), Golden.Path("tokenizers/bytes/tokenizer.json"));
        folder.Write("tokenizer.model", File.ReadAllBytes(model));
        folder.Write("tokenizer.json", File.ReadAllBytes(json));
        Assert.Equal("tokenizer.json", Opened(""));
        Assert.Equal("tokenizer.json", Opened("""{"tokenizer_class":"PreTrainedTokenizerFast"}"""));
        Assert.Equal("tokenizer.json", Opened("""{"tokenizer_class":"LlamaTokenizerFast","add_bos_token":false}"""));
        Assert.Equal("tokenizer.json", Opened("""{"tokenizer_class":"SomebodysTokenizer"}"""));
        Assert.Equal("tokenizer.model", Opened("""{"tokenizer_class":"LlamaTokenizer"}"""));

        // What tiktoken writes is no SentencePiece model.
        folder.Write("tokenizer.model", "IQ== 0\nIg== 1\n");
        Assert.Equal("tokenizer.json", Opened("""{"tokenizer_class":"LlamaTokenizer","add_bos_token":false}"""));

        string Opened(string config)
        {
            File.Delete(folder["tokenizer_config.json"]);
            if (config.Length > 0)
            {
                Configure(config);
            }

            return Path.GetFileName(Open().Path);
        }
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
    public void Added_tokens_may_lie_beyond_the_rows_as_long_as_no_text_has_them()
    {
        var size = Copy("sp-kept").VocabularySize;
        var free = Open().Fingerprint;
        folder.Write("added_tokens.json", $"{{\"[PAD]\":{size}}}");
        AssertRefusesPad("added_tokens.json");
        File.Delete(folder["added_tokens.json"]);
        Configure("""{"pad_token":"[PAD]"}""");
        AssertRefusesPad("tokenizer_config.json");
        Configure($$"""{"add_bos_token":true,"bos_token":"[BOS]","added_tokens_decoder":{"{{size}}":{"content":"[BOS]"} } }""");
        Assert.StartsWith(
            $"{folder["tokenizer_config.json"]}: {size} is put around every text, but the model's vocab_size is {size}",
            Assert.Throws<UserException>(() => CheckpointTokenizer.Open(folder.Root, size)).Message, StringComparison.Ordinal);

        void AssertRefusesPad(string file)
        {
            var tokenizer = CheckpointTokenizer.Open(folder.Root, size);
            Assert.NotEmpty(tokenizer.Encode("the whale"));
            var fault = Assert.Throws<UserException>(() => tokenizer.Encode("the [PAD]")).Message;
            Assert.Equal($"{folder[file]}: the token '[PAD]' has id {size}, but the model's vocab_size is {size}, and the text has it", fault);
            Assert.Equal(3, new[] { free, tokenizer.Fingerprint, Open().Fingerprint }.Distinct().Count());
            Assert.Contains(size, CheckpointTokenizer.Open(folder.Root, size + 1).Encode("the [PAD]"));
        }
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
        var stream = tokenizer.DecodeStream(after: []);
        var pieces = ids.Select(stream.Push).ToList();
        Assert.Equal("a 鯨 b", string.Concat(pieces) + stream.Flush());
        Assert.Contains("鯨", pieces);
        Assert.Contains("", pieces);
        Assert.DoesNotContain(pieces, piece => piece.Contains('\uFFFD', StringComparison.Ordinal));

        var cut = tokenizer.DecodeStream(after: tokenizer.Encode("whale"));
        var begun = string.Concat(ids.TakeWhile((_, at) => pieces[at] != "鯨").Select(cut.Push));
        Assert.Equal(" a ", begun);
        Assert.Equal("\uFFFD\uFFFD", cut.Flush());
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
    [InlineData("model.end_of_word_suffix", "\"</w>\"", "end_of_word_suffix")]
    [InlineData("model.continuing_subword_prefix", "\"##\"", "continuing_subword_prefix")]
    [InlineData("model.vocab", "{\"<0x00>\":0}", "not exist in the vocabulary")]
    [InlineData("model.merges", "[\"nobody knows\"]", "nobody")]
    [InlineData("model.vocab", "[]", "model.vocab is []; allowed is an object")]
    [InlineData("model.vocab", "{\"a\":-1}", "model.vocab.a is -1; allowed is a token id")]
    [InlineData("model.vocab", "{\"a\":0,\"b\":0}", "model.vocab.b")]
    [InlineData("model.merges", "[\"a b c\"]", "model.merges[0] is \"a b c\"")]
    [InlineData("model.merges", "7", "model.merges is 7; allowed is a list")]
    [InlineData("normalizer", "{\"type\":\"Precompiled\"}", "normalizer is {\"type\":\"Precompiled\"}; supported are NFC")]
    [InlineData("normalizer", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Nmt\"}]}", "normalizer.normalizers[0] is")]
    [InlineData("normalizer", "{\"type\":\"Replace\",\"pattern\":{},\"content\":\"\"}", "normalizer.pattern is {}; allowed is a Regex or a String")]
    [InlineData("pre_tokenizer", "{\"type\":\"UnicodeScripts\"}", "pre_tokenizer is {\"type\":\"UnicodeScripts\"}; supported are ByteLevel")]
    [InlineData("pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"(a\"},\"behavior\":\"Isolated\"}", "the expression '(a' has a ( without its )")]
    [InlineData("pre_tokenizer", "{\"type\":\"Split\",\"pattern\":{\"String\":\"a\"},\"behavior\":\"Lost\"}", "pre_tokenizer.behavior is \"Lost\"; allowed are Isolated, Removed")]
    [InlineData("pre_tokenizer", "{\"type\":\"Metaspace\",\"prepend_scheme\":\"maybe\"}", "pre_tokenizer.prepend_scheme is \"maybe\"; allowed are always, first and never")]
    [InlineData("decoder", "{\"type\":\"CTC\"}", "decoder is {\"type\":\"CTC\"}; supported are ByteLevel")]
    [InlineData("post_processor", "{\"type\":\"Nobody\"}", "post_processor is")]
    [InlineData("post_processor", "{\"type\":\"BertProcessing\",\"sep\":[],\"cls\":[\"a\",1]}", "post_processor.sep is []; allowed are a token and its id")]
    [InlineData("post_processor", "{\"type\":\"BertProcessing\",\"sep\":[\"a\",99999],\"cls\":[\"a\",1]}", "adds ids that the vocabulary does not have")]
    [InlineData("post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[]}", "leaves the text out")]
    [InlineData("post_processor", "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"x\"}}]}", "special_tokens does not have")]
    [InlineData("added_tokens", "[{\"id\":1}]", "added_tokens[0] has no content")]
    [InlineData("version", "\"2.0\"", "version is \"2.0\"; supported is 1.0")]
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
    public void An_unknown_character_without_a_token_for_it_is_an_error_that_names_the_key()
    {
        var json = JsonNode.Parse(File.ReadAllText(Golden.Path("tokenizers/metaspace/tokenizer.json")))!.AsObject();
        (json["model"]!["byte_fallback"], json["model"]!["unk_token"]) = (false, "<nobody>");
        folder.Write("tokenizer.json", json.ToJsonString());
        Assert.NotEmpty(Open().Encode("the whale"));
        Assert.Contains("model.unk_token <nobody> is no token", Assert.Throws<UserException>(() => Open().Encode("\uE000")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_tokenizer_model_of_tiktoken_is_read_as_transformers_converts_it()
    {
        // All bytes, and "he", "ll", "hell" as tiktoken ranks them.
        var tokens = Enumerable.Range(0, 256).Select(value => new[] { (byte)value }).Concat([[.. "he"u8], [.. "ll"u8], [.. "hell"u8]]);
        folder.Write("tokenizer.model", string.Concat(tokens.Select((token, rank) => $"{Convert.ToBase64String(token)} {rank}\n")));
        Configure("""{"tokenizer_class":"PreTrainedTokenizerFast","added_tokens_decoder":{"300":{"content":"<|end|>","special":true} },"eos_token":"<|end|>"}""");
        var tokenizer = Open();
        Assert.Equal([258, 'o', ' ', 256, 300, '\n'], tokenizer.Encode("hello he<|end|>\n"));
        Assert.Equal("hello he<|end|>\n", tokenizer.Decode(tokenizer.Encode("hello he<|end|>\n")));
        Assert.Equal(300, tokenizer.SpecialTokens.Eos);
        Assert.Contains("tiktoken", tokenizer.Description, StringComparison.Ordinal);
        folder.Write("tokenizer.model", "IQ== 0\nIQ== 1\n");
        Assert.Contains("line 2 is no token of tiktoken's form", Fault(), StringComparison.Ordinal);
        folder.Write("tokenizer.model", "IQ== 0\nIg== 0\n");
        Assert.Contains("two tokens have the same rank", Fault(), StringComparison.Ordinal);
        folder.Write("tokenizer.model", "IQ== 0\nnobody\n");
        Assert.Contains("line 2", Fault(), StringComparison.Ordinal);
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
