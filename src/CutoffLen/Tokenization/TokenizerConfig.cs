using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Tokenization;

/// <summary>tokenizer_config.json: BOS, EOS and further tokens.</summary>
internal sealed class TokenizerConfig
{
    private readonly JsonObject json;
    private readonly string path;

    private TokenizerConfig(JsonObject json, string path)
    {
        this.json = json;
        this.path = path;
    }

    /// <summary>Reads the folder's file; without one every key is absent.</summary>
    public static TokenizerConfig Read(string folder)
    {
        var path = Path.Combine(folder, "tokenizer_config.json");
        return new TokenizerConfig(File.Exists(path) ? JsonFile.ReadObject(path) : [], path);
    }

    /// <summary>
    /// Whether this is one of LLaMA's tokenizer classes. They add BOS and EOS by the two flags. All others follow the
    /// post-processor of tokenizer.json and ignore the flags.
    /// </summary>
    public bool IsLlamaClass => json["tokenizer_class"].AsText()?.Contains("LlamaTokenizer", StringComparison.Ordinal) == true;

    /// <summary>add_bos_token; LLaMA's default is to add it.</summary>
    public bool AddBos => Flag("add_bos_token") ?? true;

    /// <summary>add_eos_token; LLaMA's default is not to.</summary>
    public bool AddEos => Flag("add_eos_token") ?? false;

    /// <summary>bos_token, as a text or as an object with its content; null where absent.</summary>
    public string? Bos => Token("bos_token");

    /// <summary>eos_token, likewise.</summary>
    public string? Eos => Token("eos_token");

    /// <summary>
    /// Tokens added to a SentencePiece model, from here and from added_tokens.json: those whose ids it does not have.
    /// </summary>
    public IReadOnlyList<AddedToken> AddedTo(int pieces)
    {
        var added = new Dictionary<int, AddedToken>();
        foreach (var (id, node) in json["added_tokens_decoder"] as JsonObject ?? [])
        {
            if (int.TryParse(id, out var number) && number >= pieces)
            {
                added[number] = new AddedToken(
                    number,
                    Content(node) ?? throw Wrong("added_tokens_decoder", node, "objects with a content"),
                    Flag(node, "special"),
                    Flag(node, "lstrip"),
                    Flag(node, "rstrip"),
                    Flag(node, "single_word"));
            }
        }

        var extra = Path.Combine(Path.GetDirectoryName(path)!, "added_tokens.json");
        foreach (var (content, node) in File.Exists(extra) ? JsonFile.ReadObject(extra) : [])
        {
            if (node.AsNumber() is { } id && id >= pieces && id <= int.MaxValue && content.Length > 0)
            {
                added.TryAdd((int)id, new AddedToken((int)id, content, Special: false));
            }
        }

        return [.. added.Values];
    }

    private static bool Flag(JsonNode? node, string key) => (node as JsonObject)?[key].AsFlag() == true;

    private string? Token(string key) => json[key] switch
    {
        null => null,
        var node => Content(node) ?? throw Wrong(key, node, "a text or an object with a content"),
    };

    private static string? Content(JsonNode? node) =>
        (node is JsonObject item ? item["content"] : node).AsText() is { Length: > 0 } text ? text : null;

    private bool? Flag(string key) => json[key] switch
    {
        null => null,
        var node => node.AsFlag() ?? throw Wrong(key, node, "true or false"),
    };

    private UserException Wrong(string key, JsonNode? node, string allowed) =>
        new($"{path}: \"{key}\" is {JsonFile.Show(node?.ToJsonString() ?? "null")}; allowed is {allowed}");
}
