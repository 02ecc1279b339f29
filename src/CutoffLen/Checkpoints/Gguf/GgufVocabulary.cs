using System.Text;
using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Tokenization;
using Google.Protobuf;
using static Google.Protobuf.WireFormat;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>
/// The tokenizer of a GGUF file as files of Hugging Face's: <c>gpt2</c> as tokenizer.json, <c>llama</c> as SentencePiece's tokenizer.model. Texts get the
/// ids that llama.cpp gives them: special tokens are found in texts, and nothing is normalized.
/// </summary>
internal sealed class GgufVocabulary
{
    private const string Space = "▁";

    private readonly GgufFile file;
    private readonly string[] tokens;
    private readonly PieceKind[] kinds;

    private GgufVocabulary(GgufFile file)
    {
        this.file = file;
        tokens = List<string>("tokens") ?? throw file.Fault("has no tokenizer.ggml.tokens");
        kinds = List<double>("token_type") is { } types ? Array.ConvertAll(types, type => (PieceKind)type) : [.. tokens.Select(_ => PieceKind.Normal)];
    }

    /// <summary>The names and contents of the tokenizer's files; none for a file without a tokenizer.</summary>
    /// <exception cref="UserException">It is one that is not read.</exception>
    public static IEnumerable<(string Name, byte[] Content)> Files(GgufFile file) => (file.Value<string>("tokenizer.ggml.model") ?? "none") switch
    {
        "none" or "no_vocab" => [],
        "llama" => new GgufVocabulary(file).SentencePiece(),
        "gpt2" => new GgufVocabulary(file).ByteLevel(),
        var other => throw file.Fault($"tokenizer.ggml.model is {JsonFile.Show(other)}; read are gpt2, llama and none"),
    };

    private IEnumerable<(string, byte[])> SentencePiece()
    {
        if (Flag("remove_extra_whitespaces") == true || file.Values.ContainsKey("tokenizer.ggml.precompiled_charsmap"))
        {
            throw file.Fault("the tokenizer changes texts (remove_extra_whitespaces, precompiled_charsmap)");
        }

        var scores = List<double>("scores") ?? throw file.Fault("has no tokenizer.ggml.scores");
        yield return ("tokenizer.model", Message(model =>
        {
            // Rows of the embedding that are no tokens follow the last one.
            foreach (var (id, token) in tokens.Take(Array.FindLastIndex(kinds, kind => kind != PieceKind.Unused) + 1).Index())
            {
                model.WriteTag(1, WireType.LengthDelimited);
                model.WriteBytes(ByteString.CopyFrom(Message(piece =>
                {
                    piece.WriteTag(1, WireType.LengthDelimited);
                    piece.WriteString(token.Replace(" ", Space, StringComparison.Ordinal));
                    piece.WriteTag(2, WireType.Fixed32);
                    piece.WriteFloat((float)scores[id]);
                    Write(piece, 3, (int)kinds[id]);
                })));
            }

            model.WriteTag(2, WireType.LengthDelimited); // trainer_spec
            model.WriteBytes(ByteString.CopyFrom(Message(trainer =>
            {
                Write(trainer, 3, 2); // model_type BPE
                Write(trainer, 35, 1); // byte_fallback
            })));
            model.WriteTag(3, WireType.LengthDelimited); // normalizer_spec
            model.WriteBytes(ByteString.CopyFrom(Message(normalizer =>
            {
                Write(normalizer, 3, Flag("add_space_prefix") == false ? 0 : 1); // add_dummy_prefix
                Write(normalizer, 4, 0); // remove_extra_whitespaces
            })));
        }));
        yield return Config("LlamaTokenizer", Flag("add_bos_token") ?? true);
    }

    private IEnumerable<(string, byte[])> ByteLevel()
    {
        var name = file.Value<string>("tokenizer.ggml.pre") ?? "missing";
        var (expressions, ignoreMerges) = GgufPreTokenizers.Find(name)
            ?? throw file.Fault($"tokenizer.ggml.pre is {JsonFile.Show(name)}; read are {string.Join(", ", GgufPreTokenizers.Names)}");
        var vocabulary = new JsonObject();
        foreach (var (id, token) in tokens.Index().Where(token => kinds[token.Index] != PieceKind.Unused))
        {
            if (!vocabulary.TryAdd(token, id))
            {
                throw file.Fault($"the token {JsonFile.Show(token)} has two ids");
            }
        }

        var addsBos = Flag("add_bos_token") ?? ignoreMerges; // llama.cpp adds it to llama-bpe and tekken
        var json = new JsonObject
        {
            ["version"] = "1.0",
            ["added_tokens"] = new JsonArray([.. Added().Select(token => Described(token.Id, token.Special))]),
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                [
                    .. expressions.Select(expression => new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = expression }, ["behavior"] = "Isolated", ["invert"] = false }),
                    new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = true, ["use_regex"] = false },
                ]),
            },
            ["post_processor"] = Template(addsBos ? Special("bos") ?? throw file.Fault("puts BOS before texts, but names no tokenizer.ggml.bos_token_id") : null, Flag("add_eos_token") == true ? Special("eos") : null),
            ["decoder"] = new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = true, ["trim_offsets"] = true, ["use_regex"] = true },
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["ignore_merges"] = ignoreMerges,
                ["vocab"] = vocabulary,
                ["merges"] = new JsonArray([.. (file.Value<string[]>("tokenizer.ggml.merges") ?? throw file.Fault("has no tokenizer.ggml.merges")).Select(merge => (JsonNode)merge)]),
            },
        };
        return [("tokenizer.json", Bytes(json)), Config("PreTrainedTokenizerFast", addsBos)];
    }

    private (string, byte[]) Config(string tokenizerClass, bool addsBos)
    {
        var json = new JsonObject
        {
            ["tokenizer_class"] = tokenizerClass,
            ["legacy"] = true, // llama.cpp puts the space before each part of a text
            ["add_bos_token"] = addsBos,
            ["add_eos_token"] = Flag("add_eos_token") ?? false,
            ["added_tokens_decoder"] = new JsonObject(Added().Select(token => KeyValuePair.Create($"{token.Id}", (JsonNode?)Described(token.Id, token.Special)))),
        };
        foreach (var (key, name) in new[] { ("bos_token", "bos"), ("eos_token", "eos"), ("unk_token", "unknown"), ("pad_token", "padding") })
        {
            if (Special(name) is { } id)
            {
                json[key] = tokens[id];
            }
        }

        if (file.Value<string>("tokenizer.chat_template") is { } template)
        {
            json["chat_template"] = template;
        }

        return ("tokenizer_config.json", Bytes(json));
    }

    private IEnumerable<(int Id, bool Special)> Added() =>
        kinds.Index().Where(kind => kind.Item is PieceKind.Unknown or PieceKind.Control or PieceKind.UserDefined).Select(kind => (kind.Index, kind.Item != PieceKind.UserDefined));

    private JsonObject Described(int id, bool special) => new()
    {
        ["id"] = id, ["content"] = tokens[id], ["single_word"] = false, ["lstrip"] = false, ["rstrip"] = false, ["normalized"] = false, ["special"] = special,
    };

    private JsonObject? Template(int? before, int? after)
    {
        JsonObject Token(int id) => new() { ["SpecialToken"] = new JsonObject { ["id"] = tokens[id], ["type_id"] = 0 } };
        JsonArray Around(params string[] texts) =>
        [
            .. before is { } bos ? new[] { Token(bos) } : [],
            .. texts.Select(text => new JsonObject { ["Sequence"] = new JsonObject { ["id"] = text, ["type_id"] = 0 } }),
            .. after is { } eos ? new[] { Token(eos) } : [],
        ];
        return before is null && after is null ? null : new JsonObject
        {
            ["type"] = "TemplateProcessing",
            ["single"] = Around("A"),
            ["pair"] = Around("A", "B"),
            ["special_tokens"] = new JsonObject(new[] { before, after }.OfType<int>().Distinct().Select(id => KeyValuePair.Create(tokens[id], (JsonNode?)new JsonObject
            {
                ["id"] = tokens[id], ["ids"] = new JsonArray(id), ["tokens"] = new JsonArray(tokens[id]),
            }))),
        };
    }

    /// <summary>A special token's id; null where the file names none, or a row of the embedding that is no token.</summary>
    private int? Special(string name) => file.Value<long?>($"tokenizer.ggml.{name}_token_id") is not { } id ? null
        : id < 0 || id >= tokens.Length ? throw file.Fault($"tokenizer.ggml.{name}_token_id is {id}; ids go from 0 to {tokens.Length - 1}")
        : kinds[id] == PieceKind.Unused ? null : (int)id;

    private bool? Flag(string name) => file.Value<bool?>($"tokenizer.ggml.{name}");

    /// <summary>A list with an entry for each token.</summary>
    private T[]? List<T>(string name) => file.Value<T[]>($"tokenizer.ggml.{name}") is not { } list ? null
        : tokens is null || list.Length == tokens.Length ? list : throw file.Fault($"tokenizer.ggml.{name} has {list.Length} entries for {tokens.Length} tokens");

    private static byte[] Bytes(JsonObject json) => Encoding.UTF8.GetBytes(json.ToJsonString() + "\n");

    private static byte[] Message(Action<CodedOutputStream> write)
    {
        using var bytes = new MemoryStream();
        using (var output = new CodedOutputStream(bytes, bufferSize: 64, leaveOpen: true))
        {
            write(output);
        }

        return bytes.ToArray();
    }

    private static void Write(CodedOutputStream message, int field, int value)
    {
        message.WriteTag(field, WireType.Varint);
        message.WriteInt32(value);
    }
}
