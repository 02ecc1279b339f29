using System.Text.Json.Nodes;
using CutoffLen.Tokenization.HuggingFace;

namespace CutoffLen.Tests.Tokenization.HuggingFace;

/// <summary>
/// Tokenizer files in the form of well-known families, with small vocabularies. The parts are written as those families'
/// tokenizer.json has them.
/// </summary>
internal static class TokenizerFamilies
{
    private const string Gpt2Words = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true}""";
    private const string JustBytes = """{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}""";
    private const string SplitDigits = """{"type":"Digits","individual_digits":true}""";
    private const string Nfc = """{"type":"NFC"}""";
    private const string ReplaceSpaces = """{"type":"Replace","pattern":{"String":" "},"content":"▁"}""";
    private const string PrependSpace = """{"type":"Prepend","prepend":"▁"}""";
    private const string ByteLevelDecoder = """{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}""";
    private const string GemmaDecoder = """{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"}]}""";
    private const string LlamaDecoder = """{"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]}""";

    private static readonly SmallBpe Bytes = SmallBpe.Train(ByteAlphabet.Encode, ByteAlphabet.Characters.Select(letter => $"{letter}"), 240);

    private static readonly SmallBpe Spaces = SmallBpe.Train(
        word => (word[0] is ' ' or '\n' ? word : "▁" + word).Replace(' ', '▁'),
        ["<unk>", "<s>", "</s>", .. Enumerable.Range(0, 256).Select(value => $"<0x{value:X2}>"), "▁"],
        240);

    /// <summary>Each family's name and its file.</summary>
    public static IReadOnlyDictionary<string, Func<JsonObject>> All { get; } = new Dictionary<string, Func<JsonObject>>
    {
        ["Llama 2"] = () => SentencePiece(),
        ["TinyLlama"] = () => SentencePiece(added: Added("<unk>:n") + "," + Added("<s>:n") + "," + Added("</s>:n")),
        ["Mistral v1"] = () => SentencePiece(decoder: LlamaDecoder, merges: pairs => string.Join(' ', pairs)),
        ["Mistral v3"] = () => SentencePiece("null", """{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":false}""", added: Special("<unk>", "<s>", "</s>", "[INST]", "[/INST]")),
        ["Phi-3"] = () => SentencePiece(added: Special("<unk>", "<s>") + "," + Added("</s>:r") + "," + Added("<|im_start|>:sr") + "," + Added("<|im_end|>:sr")),
        ["InternLM2"] = () => SentencePiece(post: Template("<s>", "</s>"), added: Special("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")),
        ["Yi"] = () => SentencePiece(ReplaceSpaces, post: "null", decoder: GemmaDecoder, added: Special("<unk>", "<s>", "</s>", "<|im_start|>")),
        ["CodeLlama"] = () => SentencePiece(added: Special("<unk>", "<s>", "</s>", "▁<PRE>", "▁<MID>", "▁<SUF>", "▁<EOT>")),
        ["Gemma"] = () => SentencePiece(
            ReplaceSpaces, """{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}""", decoder: GemmaDecoder,
            added: Special("<unk>", "<s>", "</s>") + "," + Added("\\n\\n") + "," + Added("▁▁") + "," + Added("<tag>")),
        ["Gemma 3, words"] = () => SentencePiece(ReplaceSpaces, """{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}""", decoder: """{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}"""),
        ["Llama 3"] = () => ByteLevel(
            $$"""{"type":"Sequence","pretokenizers":[{{Split(PublishedExpressions.Llama3)}},{{JustBytes}}]}""",
            post: $$"""{"type":"Sequence","processors":[{{ByteLevelDecoder}},{{Template("<s>")}}]}""", options: """{"ignore_merges":true}"""),
        ["Mistral Nemo (Tekken)"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{Split(PublishedExpressions.Tekken)}},{{JustBytes}}]}""", post: Template("<s>"), options: """{"ignore_merges":true}"""),
        ["Qwen2"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{Split(PublishedExpressions.Qwen2)}},{{JustBytes}}]}""", Nfc, ByteLevelDecoder),
        ["SmolLM2"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{SplitDigits}},{{Gpt2Words}}]}"""),
        ["SmolLM2 with missing bytes"] = () => WithoutBytes(ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{SplitDigits}},{{Gpt2Words}}]}""")),
        ["DeepSeek-LLM"] = () => ByteLevel(
            $$"""{"type":"Sequence","pretokenizers":[{{Split("[\r\n]")}},{{Split(PublishedExpressions.DeepSeekLetters)}},{{Split(@"\s?[!-/:-~！-／：-～‘-‟　-。]+")}},{{Split(@"\s+$")}},{{Split("[一-龥ࠀ-一가-퟿]+")}},{{SplitDigits}},{{JustBytes}}]}""",
            """{"type":"Sequence","normalizers":[]}""", Template("<s>")),
        ["DeepSeek-V3"] = () => ByteLevel(
            $$"""{"type":"Sequence","pretokenizers":[{{Split(@"\p{N}{1,3}")}},{{Split("[一-龥぀-ゟ゠-ヿ]+")}},{{Split(PublishedExpressions.DeepSeek3)}},{{JustBytes}}]}""",
            """{"type":"Sequence","normalizers":[]}""", Template("<s>"), added: Special("<s>", "</s>") + "," + Added("<|im_start|>:n") + "," + Added("<tag>:n")),
        ["OLMo"] = () => ByteLevel(Gpt2Words, Nfc, added: Added("   :n") + "," + Added("  :n") + "," + Added("<tag>:n") + "," + Special("<s>", "</s>")),
        ["GPT-NeoX"] = () => ByteLevel(Gpt2Words, Nfc, ByteLevelDecoder, added: Special("<s>", "<unk>") + "," + Added("  :n") + "," + Added("    :n")),
        ["MPT"] = () => ByteLevel(Gpt2Words, Nfc, "null", added: Special("<|im_start|>") + "," + Added("  :n") + "," + Added("word:w")),
        ["StarCoder"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{SplitDigits}},{{Gpt2Words}}]}""", added: Special("<|im_start|>", "<tag>")),
        ["Granite"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{SplitDigits}},{{Gpt2Words}}]}""", post: ByteLevelDecoder, merges: pairs => string.Join(' ', pairs)),
        ["Falcon"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{"type":"Punctuation","behavior":"Contiguous"},{{Gpt2Words}},{"type":"Digits","individual_digits":false},{{Split("[0-9][0-9][0-9]")}}]}"""),
        ["Bloom"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{Split(" ?[^(\\s|[.,!?…。，、।۔،])]+")}},{{JustBytes}}]}"""),
        ["GPT-4o"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{Split(PublishedExpressions.Gpt4o)}},{{JustBytes}}]}"""),
        ["GPT-4, possessive"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":{{Text(PublishedExpressions.Gpt4)}}},"behavior":"Removed","invert":true},{{JustBytes}}]}"""),
        ["Kimi K2"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{Split(PublishedExpressions.Kimi)}},{{JustBytes}}]}"""),
        ["RoBERTa"] = () => ByteLevel(
            """{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}""", post: $$"""{"type":"RobertaProcessing","sep":["</s>",{{IdOf("</s>")}}],"cls":["<s>",{{IdOf("<s>")}}],"trim_offsets":true,"add_prefix_space":true}""",
            added: Special("<s>", "</s>") + "," + Added("<tag>:lsr") + "," + Added("  :lr") + "," + Added("word:r")),
        ["Command R"] = () => ByteLevel($$"""{"type":"Sequence","pretokenizers":[{{SplitDigits}},{{Gpt2Words}}]}""", Nfc, Template("<s>")),
        ["byte-level normalizer"] = () => ByteLevel("null", """{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"ByteLevel"}]}"""),
        ["lower case"] = () => ByteLevel(Gpt2Words, """{"type":"Sequence","normalizers":[{"type":"Strip","strip_left":true,"strip_right":true},{"type":"NFKD"},{"type":"StripAccents"},{"type":"Lowercase"}]}""", added: Added("WORD:n") + "," + Added("<tag>")),
        ["runs of spaces"] = () => SentencePiece(
            """{"type":"Sequence","normalizers":[{"type":"Strip","strip_left":true,"strip_right":false},{"type":"NFKC"},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}]}""",
            """{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"}]}"""),
        ["words and punctuation"] = () => SentencePiece("null", """{"type":"Whitespace"}""", decoder: "null", options: """{"byte_fallback":false,"fuse_unk":false}"""),
        ["unknown fused"] = () => SentencePiece("null", """{"type":"BertPreTokenizer"}""", decoder: "null", options: """{"byte_fallback":false,"fuse_unk":true}"""),
        ["unknown left out"] = () => SentencePiece("null", """{"type":"Punctuation","behavior":"MergedWithNext"}""", decoder: """{"type":"Fuse"}""", options: """{"byte_fallback":false,"unk_token":null}"""),
        ["some byte tokens"] = () => WithoutTokens(SentencePiece(), token => token is ['<', '0', 'x', '8' or 'E' or '0', ..]),
        ["some byte tokens, unknown apart"] = () => WithoutTokens(SentencePiece(options: """{"fuse_unk":false}"""), token => token is ['<', '0', 'x', '8' or 'E' or '0', ..]),
    };

    /// <summary>An expression that a file is split by.</summary>
    public static string Split(string expression, string behavior = "Isolated") =>
        $$"""{"type":"Split","pattern":{"Regex":{{Text(expression)}}},"behavior":"{{behavior}}","invert":false}""";

    private static string Text(string text) => JsonValue.Create(text).ToJsonString();

    private static JsonObject SentencePiece(
        string? normalizer = null, string preTokenizer = "null", string? post = null, string? decoder = null, string? added = null, string options = "{}",
        Func<string[], JsonNode>? merges = null) => Build(
        Spaces,
        normalizer ?? $$"""{"type":"Sequence","normalizers":[{{PrependSpace}},{{ReplaceSpaces}}]}""",
        preTokenizer,
        post ?? Template("<s>"),
        decoder ?? LlamaDecoder,
        """{"dropout":null,"unk_token":"<unk>","continuing_subword_prefix":null,"end_of_word_suffix":null,"fuse_unk":true,"byte_fallback":true,"ignore_merges":false}""",
        options,
        added ?? Special("<unk>", "<s>", "</s>"),
        merges);

    private static JsonObject ByteLevel(
        string preTokenizer, string normalizer = "null", string post = "null", string? added = null, string options = "{}", Func<string[], JsonNode>? merges = null) => Build(
        Bytes,
        normalizer,
        preTokenizer,
        post,
        ByteLevelDecoder,
        """{"dropout":null,"unk_token":null,"continuing_subword_prefix":"","end_of_word_suffix":"","fuse_unk":false,"byte_fallback":false,"ignore_merges":false}""",
        options,
        added ?? Special("<s>", "</s>", "<|im_start|>"),
        merges);

    private static JsonObject Build(
        SmallBpe bpe, string normalizer, string preTokenizer, string post, string decoder, string model, string options, string added, Func<string[], JsonNode>? merges)
    {
        var json = JsonNode.Parse(
            $$"""{"version":"1.0","truncation":null,"padding":null,"added_tokens":[{{added}}],"normalizer":{{normalizer}},"pre_tokenizer":{{preTokenizer}},"post_processor":{{post}},"decoder":{{decoder}},"model":{{model}}}""")!.AsObject();
        foreach (var (key, value) in JsonNode.Parse(options)!.AsObject())
        {
            json["model"]![key] = value?.DeepClone();
        }

        json["model"]!["type"] = "BPE";
        json["model"]!["vocab"] = new JsonObject(bpe.Tokens.Index().Select(token => KeyValuePair.Create(token.Item, (JsonNode?)token.Index)));
        json["model"]!["merges"] = new JsonArray([.. bpe.Merges.Select(merge => merges?.Invoke([merge.Left, merge.Right]) ?? new JsonArray(merge.Left, merge.Right))]);
        foreach (var (at, token) in json["added_tokens"]!.AsArray().Index())
        {
            var content = (string)token!["content"]!;
            token["id"] = bpe.Tokens.Contains(content) ? bpe.Tokens.IndexOf(content) : bpe.Tokens.Count + json["added_tokens"]!.AsArray().Take(at).Count(other => !bpe.Tokens.Contains((string)other!["content"]!));
        }

        return json;
    }

    private static string Special(params string[] contents) => string.Join(',', contents.Select(content => Added(content + ":s")));

    /// <summary>An added token: its content, and after a colon s for special, n for normalized, l and r for strip, w for a single word.</summary>
    private static string Added(string token)
    {
        var colon = token.LastIndexOf(':');
        var (content, flags) = colon < 0 ? (token, "") : (token[..colon], token[(colon + 1)..]);
        string Flag(char letter) => flags.Contains(letter) ? "true" : "false";
        return $$"""{"content":{{(content.Contains('\\') ? $"\"{content}\"" : Text(content))}},"special":{{Flag('s')}},"normalized":{{Flag('n')}},"lstrip":{{Flag('l')}},"rstrip":{{Flag('r')}},"single_word":{{Flag('w')}}}""";
    }

    private static int IdOf(string token) => Bytes.Tokens.Count + (token == "<s>" ? 0 : 1);

    /// <summary>Tokens before the text, and perhaps one after it. Byte-level vocabularies get their ids when the file is read.</summary>
    private static string Template(string before, string? after = null)
    {
        string Item(string token) => $$$"""{"SpecialToken":{"id":"{{{token}}}","type_id":0}}""";
        string Known(string token, int id) => $$"""{{Text(token)}}:{"id":{{Text(token)}},"ids":[{{id}}],"tokens":[{{Text(token)}}]}""";
        var known = after is null ? Known(before, 1) : Known(before, 1) + "," + Known(after, 2);
        return $$$"""{"type":"TemplateProcessing","single":[{{{Item(before)}}},{"Sequence":{"id":"A","type_id":0}}{{{(after is null ? "" : "," + Item(after))}}}],"pair":[],"special_tokens":{{{{known}}}}}""";
    }

    /// <summary>SmolLM2's vocabulary lacks bytes that its training text had none of.</summary>
    private static JsonObject WithoutBytes(JsonObject json) =>
        WithoutTokens(json, token => token.Length == 1 && ByteAlphabet.Decode(token)[0] is 0x0D or 0x1B or 0xC0 or 0xC1 or 0xE4 or >= 0xF1);

    /// <summary>Leaves tokens out, and so gaps among the ids.</summary>
    private static JsonObject WithoutTokens(JsonObject json, Func<string, bool> without)
    {
        var vocabulary = json["model"]!["vocab"]!.AsObject();
        foreach (var token in vocabulary.Select(token => token.Key).Where(without).ToList())
        {
            vocabulary.Remove(token);
        }

        var merges = json["model"]!["merges"]!.AsArray();
        foreach (var merge in merges.Where(merge => merge!.AsArray() is var pair && !vocabulary.ContainsKey((string)pair[0]!) | !vocabulary.ContainsKey((string)pair[1]!)).ToList())
        {
            merges.Remove(merge);
        }

        return json;
    }
}
