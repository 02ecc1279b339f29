using System.Text.Json.Nodes;
using CutoffLen.Files;

namespace CutoffLen.Evaluation.PosGen;

/// <summary>PosGen's numbers as text, a letter each, and the tokenizer to which a letter is a token.</summary>
public static class PosGenText
{
    // Digits, letters, and Latin Extended-A.
    private static readonly string Letters = string.Concat(
        Enumerable.Range('0', 10).Concat(Enumerable.Range('A', 26)).Concat(Enumerable.Range('a', 26)).Concat(Enumerable.Range(0x100, 128)).Select(code => (char)code));

    /// <summary>The largest modulus that has a letter for every number.</summary>
    public static int MostNumbers => Letters.Length;

    /// <summary>The numbers' letters, one after another.</summary>
    public static string Of(IEnumerable<int> numbers) => string.Concat(numbers.Select(number => Letters[number]));

    /// <summary>
    /// Writes train.jsonl, validation.jsonl and test.jsonl, where a line has the first numbers as <c>prompt</c> and the others as
    /// <c>completion</c>, as TRL has it; and model/ with the tokenizer and the config.json of a small LLaMA for <c>cutoff init</c>.
    /// The vocabulary has no EOS, which would end every sequence at the trained length.
    /// </summary>
    /// <param name="folder">An existing folder.</param>
    /// <param name="task">The task.</param>
    /// <param name="length">Numbers of a training sequence.</param>
    /// <param name="testLength">Numbers of the others.</param>
    /// <param name="train">Training sequences.</param>
    /// <param name="test">Sequences of validation, and as many for the test.</param>
    public static void Write(string folder, PosGenTask task, int length = 64, int testLength = 256, int train = 10_000, int test = 1_000)
    {
        Lines("train", task.Sequences(0, train, length));
        Lines("validation", task.Sequences(0, test, testLength));
        Lines("test", task.Sequences(test, test, testLength));
        var model = Path.Combine(folder, "model");
        OutputFolder.Create(model);
        AtomicFile.WriteText(Path.Combine(model, "tokenizer.json"), $"{Tokenizer(task.Modulus)}\n");
        AtomicFile.WriteText(Path.Combine(model, "tokenizer_config.json"), """{"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>"}""" + "\n");
        AtomicFile.WriteText(Path.Combine(model, "config.json"), $"{Config(task.Modulus, length)}\n");

        void Lines(string name, IEnumerable<int[]> sequences) => AtomicFile.WriteText(
            Path.Combine(folder, $"{name}.jsonl"),
            string.Concat(sequences.Select(numbers => $$"""{"prompt": "{{Of(numbers.Take(task.Seeds))}}", "completion": "{{Of(numbers.Skip(task.Seeds))}}"}""" + "\n")));
    }

    private static JsonObject Tokenizer(int modulus)
    {
        var vocabulary = new JsonObject { ["<s>"] = 0 };
        for (var number = 0; number < modulus; number++)
        {
            vocabulary[Letters[number].ToString()] = number + 1;
        }

        return new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray(JsonNode.Parse(
                """{"id": 0, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}""")),
            ["normalizer"] = null,
            ["pre_tokenizer"] = null,
            ["post_processor"] = JsonNode.Parse(
                """
                {"type": "TemplateProcessing",
                 "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                 "pair": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                 "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}}
                """),
            ["decoder"] = JsonNode.Parse("""{"type": "Fuse"}"""),
            ["model"] = new JsonObject
            {
                ["type"] = "BPE", ["dropout"] = null, ["unk_token"] = null, ["continuing_subword_prefix"] = null, ["end_of_word_suffix"] = null,
                ["fuse_unk"] = false, ["byte_fallback"] = false, ["ignore_merges"] = false, ["vocab"] = vocabulary, ["merges"] = new JsonArray(),
            },
        };
    }

    /// <summary>A LLaMA of about a million parameters. The paper has the decoder of T5-small.</summary>
    private static JsonObject Config(int modulus, int length) => new()
    {
        ["architectures"] = new JsonArray("LlamaForCausalLM"),
        ["model_type"] = "llama",
        ["hidden_act"] = "silu",
        ["vocab_size"] = modulus + 1,
        ["hidden_size"] = 128,
        ["intermediate_size"] = 352,
        ["num_hidden_layers"] = 4,
        ["num_attention_heads"] = 2,
        ["num_key_value_heads"] = 2,
        ["head_dim"] = 64,
        ["rms_norm_eps"] = 1e-5,
        ["initializer_range"] = 0.02,
        ["rope_theta"] = 10_000,
        ["max_position_embeddings"] = length + 1, // BOS is the first position
        ["bos_token_id"] = 0,
        ["eos_token_id"] = null,
        ["tie_word_embeddings"] = false,
    };
}
