using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Tests.Tokenization.HuggingFace;
using CutoffLen.Tokenization;
using CutoffLen.Tokenization.HuggingFace;

namespace CutoffLen.LlamaCppTests;

/// <summary>llama.cpp gives texts the ids of the checkpoint's tokenizer, or the export is refused.</summary>
public sealed class TokenizerTests : IDisposable
{
    private const string Normalizes = "the tokenizer normalizes texts to NFC";
    private const string Spaces = "the tokenizer puts a space";
    private const string Specials = "llama.cpp finds special tokens";

    private static readonly string[] WrittenOut = ["<s>", "</s>", "<unk>", "[INST]", "[/INST]", "<|im_start|>"];

    /// <summary>llama.cpp's name of the words, and the beginning of the note on texts that get other ids.</summary>
    private static readonly Dictionary<string, (string PreTokenizer, string? Note)> Exportable = new()
    {
        ["Llama 3"] = ("llama-bpe", null), ["Mistral Nemo (Tekken)"] = ("tekken", null), ["Qwen2"] = ("qwen2", Normalizes),
        ["SmolLM2"] = ("smollm", null), ["StarCoder"] = ("smollm", null), ["Granite"] = ("smollm", null), ["Command R"] = ("smollm", Normalizes),
        ["OLMo"] = ("gpt-2", Normalizes), ["GPT-NeoX"] = ("gpt-2", Normalizes),
        ["Llama 2"] = ("default", null), ["TinyLlama"] = ("default", Specials), ["Mistral v1"] = ("default", null), ["Mistral v3"] = ("default", Spaces),
        ["InternLM2"] = ("default", null), ["Yi"] = ("default", null), ["CodeLlama"] = ("default", null),
    };

    private static readonly Func<string, string> Nfc = UnicodeForms.To("NFC");

    private readonly TemporaryFolder folder = new();

    public static TheoryData<string> Families => [.. Exportable.Keys];

    public static TheoryData<string> Others => [.. TokenizerFamilies.All.Keys.Except(Exportable.Keys)];

    /// <summary>Files, with the same.</summary>
    public static TheoryData<string, string, string?> Trained => new()
    {
        { "configs/demo/model/tokenizer.model", "default", Specials },
        { "tests/golden/tokenizers/sp-kept/tokenizer.model", "default", Specials },
        { "tests/golden/tokenizers/reported/byte-level-vocabulary-with-gaps/tokenizer.json", "smollm", null },
    };

    [Theory]
    [MemberData(nameof(Families))]
    public void Texts_get_the_same_ids_in_well_known_families(string family)
    {
        WriteModel("tokenizer.json", Encoding.UTF8.GetBytes(WithEverySplit(TokenizerFamilies.All[family]()).ToJsonString()));
        AssertSameIds(Exportable[family].PreTokenizer, Exportable[family].Note);
    }

    [Theory]
    [MemberData(nameof(Trained))]
    public void Texts_get_the_same_ids_in_trained_tokenizers(string file, string preTokenizer, string? note)
    {
        WriteModel(Path.GetFileName(file), File.ReadAllBytes(Path.Combine(Repository.Root, file)));
        AssertSameIds(preTokenizer, note);
    }

    [Fact]
    public void Runs_of_spaces_have_one_score_as_in_llama_2_and_no_other_tokens_may()
    {
        // transformers orders merges of one score by the length of the left part, so those of runs alternate.
        var json = TokenizerFamilies.All["Llama 2"]();
        var vocabulary = json["model"]!["vocab"]!.AsObject();
        foreach (var length in Enumerable.Range(2, 7).Where(length => !vocabulary.ContainsKey(new string('▁', length))))
        {
            vocabulary[new string('▁', length)] = vocabulary.Count;
        }

        var splits = Enumerable.Range(2, 7).SelectMany(length => Enumerable.Range(1, length - 1).Select(left => (Left: new string('▁', left), Right: new string('▁', length - left))));
        var others = WithEverySplit(json)["model"]!["merges"]!.AsArray().Select(merge => (Left: (string)merge![0]!, Right: (string)merge[1]!)).Where(merge => (merge.Left + merge.Right).Trim('▁').Length > 0).ToList();
        void Write(IEnumerable<(string Left, string Right)> order)
        {
            json["model"]!["merges"] = new JsonArray([.. order.Select(merge => new JsonArray(merge.Left, merge.Right))]);
            WriteModel("tokenizer.json", Encoding.UTF8.GetBytes(json.ToJsonString()));
        }

        Write([.. splits.OrderByDescending(merge => merge.Left.Length), .. others]);
        AssertSameIds("default", null);
        var several = others.GroupBy(merge => merge.Left + merge.Right).First(token => token.Count() > 1);
        Write([several.First(), .. others.Where(merge => !several.Contains(merge)), .. several.Skip(1), .. splits]);
        Assert.Contains("alternate", Assert.Throws<UserException>(() => GgufExport.Write(folder["model"], folder["model.gguf"])).Message, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Others))]
    public void What_llama_cpp_cuts_otherwise_is_refused(string family) =>
        AssertRefused(TokenizerFamilies.All[family](), "llama.cpp would give texts other ids");

    [Theory]
    [InlineData("metaspace/tokenizer.json", "are no merge, and it joins any two tokens")]
    [InlineData("bytes/tokenizer.json", "'<|sep|>' takes white space beside it")]
    public void So_are_merges_that_no_scores_give_and_tokens_that_take_white_space(string file, string expected) =>
        AssertRefused(JsonNode.Parse(File.ReadAllText(Golden.Path($"tokenizers/{file}")))!.AsObject(), expected);

    [Fact]
    public void Special_tokens_and_the_chat_template_are_in_the_file()
    {
        folder.Write("model/chat_template.jinja", "{{ bos_token }}{{ messages[0]['content'] }}");
        folder.Write("model/tokenizer_config.json", """{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<unk>"}""");
        WriteModel("tokenizer.json", Encoding.UTF8.GetBytes(WithEverySplit(TokenizerFamilies.All["InternLM2"]()).ToJsonString()));
        GgufExport.Write(folder["model"], folder["model.gguf"]);
        using var llama = new LlamaCpp(folder["model.gguf"]);
        var expected = new Dictionary<string, string>
        {
            ["tokenizer.ggml.bos_token_id"] = "1", ["tokenizer.ggml.eos_token_id"] = "2", ["tokenizer.ggml.padding_token_id"] = "0", ["tokenizer.ggml.unknown_token_id"] = "0",
            ["tokenizer.ggml.add_bos_token"] = "true", ["tokenizer.ggml.add_eos_token"] = "true", ["tokenizer.chat_template"] = "{{ bos_token }}{{ messages[0]['content'] }}",
        };
        Assert.All(expected, key => Assert.Equal(key.Value, llama.Metadata[key.Key]));
    }

    public void Dispose() => folder.Dispose();

    private void WriteModel(string name, byte[] tokenizer)
    {
        folder.Write($"model/{name}", tokenizer);
        var size = CheckpointTokenizer.Open(folder["model"]).VocabularySize;
        TinyCheckpoint.Save(folder["made"], TinyCheckpoint.Config with { VocabSize = size + 3 });
        foreach (var file in Directory.EnumerateFiles(folder["made"]))
        {
            File.Copy(file, Path.Combine(folder["model"], Path.GetFileName(file)), overwrite: true);
        }
    }

    private void AssertRefused(JsonObject tokenizer, string expected)
    {
        WriteModel("tokenizer.json", Encoding.UTF8.GetBytes(tokenizer.ToJsonString()));
        var refusal = Assert.Throws<UserException>(() => GgufExport.Write(folder["model"], folder["model.gguf"])).Message;
        Assert.Contains(expected, refusal, StringComparison.Ordinal);
        Assert.StartsWith(folder["model/tokenizer.json"], refusal, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["model.gguf"]));
    }

    private void AssertSameIds(string preTokenizer, string? note)
    {
        var report = GgufExport.Write(folder["model"], folder["model.gguf"]);
        var tokenizer = CheckpointTokenizer.Open(folder["model"]);
        using var llama = new LlamaCpp(folder["model.gguf"]);
        Assert.Equal(preTokenizer, llama.Metadata["tokenizer.ggml.pre"]);
        Assert.Equal(note, note is null ? report.Notes.SingleOrDefault() : Assert.Single(report.Notes)[..note.Length]);
        // What is read back of the file does as llama.cpp does, also where the checkpoint's does not.
        var readBack = CheckpointTokenizer.Open(Exported.ReadBack(folder));
        Assert.All(SampleTexts.Fixed.Concat(Enumerable.Range(0, 60).Select(SampleTexts.Random)), text =>
        {
            var theirs = llama.Encode(text, addSpecial: false);
            AssertSame(text, readBack, theirs);
            if (!IsNoted(text, note))
            {
                AssertSame(text, tokenizer, theirs);
            }
        });
        Assert.All([tokenizer, readBack], ours => Assert.Equal(ours.Encode("the whale"), llama.Encode("the whale", addSpecial: true)));
    }

    private static void AssertSame(string text, CheckpointTokenizer tokenizer, int[] theirs)
    {
        var ours = tokenizer.Encode(text, addSpecial: false);
        Assert.True(ours.AsSpan().SequenceEqual(theirs), $"{JsonSerializer.Serialize(text)}: {tokenizer.Path} [{string.Join(",", ours)}], llama.cpp's [{string.Join(",", theirs)}]");
    }

    /// <summary>Whether the note says that the text gets other ids.</summary>
    private static bool IsNoted(string text, string? note) => note switch
    {
        Normalizes => Nfc(text) != text,
        Spaces => text is [' ' or '▁', ..] || WrittenOut.Any(token => text.Contains(token, StringComparison.Ordinal)),
        Specials => WrittenOut.Any(token => text.Contains(token, StringComparison.Ordinal)),
        _ => false,
    };

    /// <summary>A model made from SentencePiece's has each split of a token into two tokens among its merges, where a trained one has the one it learned.</summary>
    private static JsonObject WithEverySplit(JsonObject json)
    {
        if ((bool?)json["model"]!["byte_fallback"] != true)
        {
            return json;
        }

        var vocabulary = json["model"]!["vocab"]!.AsObject();
        var made = json["model"]!["merges"]!.AsArray().Select(merge => merge is JsonArray pair ? (string)pair[0]! + (string)pair[1]! : ((string)merge!).Replace(" ", "", StringComparison.Ordinal)).Distinct();
        json["model"]!["merges"] = new JsonArray([.. made.SelectMany(token => Enumerable.Range(1, token.Length - 1)
            .Where(cut => vocabulary.ContainsKey(token[..cut]) && vocabulary.ContainsKey(token[cut..]))
            .Select(cut => new JsonArray(token[..cut], token[cut..])))]);
        return json;
    }
}
