using System.Text;
using System.Text.Json.Nodes;
using System.Text.Unicode;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>
/// tokenizer_config.json and the files that say the same for older checkpoints, special_tokens_map.json and
/// added_tokens.json: BOS, EOS and further tokens. As transformers does, these are read only where tokenizer_config.json
/// has no added_tokens_decoder.
/// </summary>
internal sealed class TokenizerConfig
{
    // Those of transformers and of well-known models' own code that read tokenizer.model.
    private static readonly string[] SentencePieceClasses =
    [
        "LlamaTokenizer", "CodeLlamaTokenizer", "GemmaTokenizer", "InternLMTokenizer", "InternLM2Tokenizer", "BaichuanTokenizer", "YiTokenizer",
    ];

    private static readonly string[] SpecialKeys = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];
    private static readonly string[] SpecialListKeys = ["additional_special_tokens", "extra_special_tokens"];

    private readonly JsonObject json;
    private readonly string path;

    // By their names (bos_token, pad_token), without ids.
    private readonly IReadOnlyList<AddedToken> special;

    private TokenizerConfig(JsonObject json, string path)
    {
        (this.json, this.path) = (json, path);
        var map = Path.Combine(Folder, "special_tokens_map.json");
        if (json["added_tokens_decoder"] is null && File.Exists(map))
        {
            foreach (var (key, value) in JsonFile.ReadObject(map))
            {
                json[key] = value?.DeepClone();
            }
        }

        special = [.. ReadSpecial()];
        Added = [.. (json["added_tokens_decoder"] is { } decoder ? ReadDecoder(decoder) : ReadAddedTokens()).OrderBy(token => token.Id)];
    }

    /// <summary>Reads the folder's files; without them every key is absent.</summary>
    public static TokenizerConfig Read(string folder)
    {
        var path = Path.Combine(folder, "tokenizer_config.json");
        return new TokenizerConfig(File.Exists(path) ? JsonFile.ReadObject(path) : [], path);
    }

    /// <summary>Whether the tokenizer's class reads tokenizer.model (a slow one) and not tokenizer.json (a fast one).</summary>
    public bool ReadsSentencePiece => Array.IndexOf(SentencePieceClasses, Class) >= 0;

    /// <summary>
    /// Whether this is one of LLaMA's tokenizer classes. They add BOS and EOS by the two flags. All others follow the
    /// post-processor of tokenizer.json and ignore the flags.
    /// </summary>
    public bool IsLlamaClass => Class?.Contains("LlamaTokenizer", StringComparison.Ordinal) == true;

    /// <summary>add_bos_token; LLaMA's default is to add it.</summary>
    public bool AddBos => Flag("add_bos_token") ?? true;

    /// <summary>add_eos_token; LLaMA's default is not to.</summary>
    public bool AddEos => Flag("add_eos_token") ?? false;

    /// <summary>legacy; without it a space is put before the text only, not before each part after a special token.</summary>
    public bool Legacy => Flag("legacy") ?? true;

    /// <summary>bos_token, as a text or as an object with its content; null where absent.</summary>
    public string? Bos => Token("bos_token")?.Content;

    /// <summary>eos_token, likewise.</summary>
    public string? Eos => Token("eos_token")?.Content;

    /// <summary>unk_token, likewise.</summary>
    public string? Unknown => Token("unk_token")?.Content;

    /// <summary>pad_token, likewise.</summary>
    public string? Padding => Token("pad_token")?.Content;

    /// <summary>What makes a text of a conversation: chat_template.jinja, or else chat_template, of several the one named default; null for none.</summary>
    public string? ChatTemplate
    {
        get
        {
            var file = Path.Combine(Folder, "chat_template.jinja");
            return File.Exists(file) ? ReadText(file)
                : json["chat_template"] is JsonArray named ? named.FirstOrDefault(item => item?["name"].AsText() == "default")?["template"].AsText()
                : json["chat_template"].AsText();
        }
    }

    /// <summary>added_tokens_decoder, or else added_tokens.json, with the ids that they have there.</summary>
    public IReadOnlyList<AddedToken> Added { get; }

    /// <summary>
    /// The special tokens that are not among those added; BOS and EOS only where they are tokens already, because a model
    /// that never saw them can't use them.
    /// </summary>
    public IEnumerable<AddedToken> SpecialBeside(IReadOnlyCollection<AddedToken> added, Func<string, bool> isToken) => special
        .Where(token => (isToken(token.Content) || (token.Content != Bos && token.Content != Eos)) && added.All(other => other.Content != token.Content))
        .DistinctBy(token => token.Content);

    private string? Class => json["tokenizer_class"].AsText();

    private string Folder => Path.GetDirectoryName(path)!;

    private IEnumerable<AddedToken> ReadSpecial()
    {
        foreach (var key in SpecialKeys)
        {
            if (Token(key) is { } token)
            {
                yield return token;
            }
        }

        foreach (var key in SpecialListKeys)
        {
            foreach (var node in json[key] as JsonArray ?? [])
            {
                yield return Read(-1, node, special: true, path) ?? throw Wrong(key, node, "a list of texts or of objects with a content");
            }
        }
    }

    private IEnumerable<AddedToken> ReadDecoder(JsonNode decoder)
    {
        foreach (var (id, node) in decoder as JsonObject ?? throw Wrong("added_tokens_decoder", decoder, "an object"))
        {
            yield return int.TryParse(id, out var number) && number >= 0 && Read(number, node, special: false, path) is { } token
                ? token
                : throw Wrong("added_tokens_decoder", node, "objects with a content, by id");
        }
    }

    private IEnumerable<AddedToken> ReadAddedTokens()
    {
        var file = Path.Combine(Folder, "added_tokens.json");
        foreach (var (content, node) in File.Exists(file) ? JsonFile.ReadObject(file) : [])
        {
            var isSpecial = special.Any(token => token.Content == content);
            yield return node.AsNumber() is { } id and >= 0 and <= int.MaxValue && id == Math.Floor(id) && content.Length > 0
                ? new AddedToken((int)id, content, isSpecial, Normalized: !isSpecial, File: file)
                : throw new UserException($"{file}: {JsonFile.Show(content)} is {JsonFile.Show(node?.ToJsonString() ?? "null")}; allowed is a token id");
        }
    }

    private AddedToken? Token(string key) => json[key] switch
    {
        null => null,
        var node => Read(-1, node, special: true, path) ?? throw Wrong(key, node, "a text or an object with a content"),
    };

    private static AddedToken? Read(int id, JsonNode? node, bool special, string file)
    {
        var item = node as JsonObject ?? [];
        if ((node is JsonObject ? item["content"] : node).AsText() is not { Length: > 0 } content)
        {
            return null;
        }

        special |= item["special"].AsFlag() == true;
        return new AddedToken(
            id,
            content,
            special,
            item["lstrip"].AsFlag() == true,
            item["rstrip"].AsFlag() == true,
            item["single_word"].AsFlag() == true,
            item["normalized"].AsFlag() ?? !special,
            file);
    }

    private static string ReadText(string file)
    {
        var bytes = JsonFile.ReadBytes(file, JsonFile.SmallFile);
        return Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : throw new UserException($"{file}: not UTF-8 text");
    }

    private bool? Flag(string key) => json[key] switch
    {
        null => null,
        var node => node.AsFlag() ?? throw Wrong(key, node, "true or false"),
    };

    private UserException Wrong(string key, JsonNode? node, string allowed) =>
        new($"{path}: \"{key}\" is {JsonFile.Show(node?.ToJsonString() ?? "null")}; allowed is {allowed}");
}
