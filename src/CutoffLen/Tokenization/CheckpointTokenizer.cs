using System.Security.Cryptography;
using System.Text;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Tokenization;

/// <summary>
/// The tokenizer of a checkpoint folder: tokenizer.model (SentencePiece) where there is one, else tokenizer.json, with
/// BOS and EOS by tokenizer_config.json. A SentencePiece model reads "&lt;s&gt;" in a text as plain text, as SentencePiece
/// does. Added tokens of tokenizer.json are found in text, as Hugging Face does.
/// </summary>
public sealed class CheckpointTokenizer : ITextEncoder
{
    // Raised whenever a change to this code changes the ids of any text.
    private const int CodeVersion = 2;

    private const string ModelFile = "tokenizer.model";
    private const string JsonFileName = "tokenizer.json";

    private readonly TokenModel model;
    private readonly AddedTokens inText;
    private readonly AddedTokens inNormalized;
    private readonly Dictionary<int, AddedToken> byId = [];

    private CheckpointTokenizer(string path, ReadOnlySpan<byte> file, TokenizerDefinition definition, TokenizerConfig config, bool addByFlags)
    {
        Path = path;
        model = definition.Model;
        try
        {
            inText = new AddedTokens([.. definition.Added.Where(token => !token.Normalized)]);
            inNormalized = new AddedTokens([.. definition.Added.Where(token => token.Normalized)]);
            foreach (var token in definition.Added.Concat(definition.Controls))
            {
                byId.Add(token.Id, token);
            }
        }
        catch (ArgumentException fault)
        {
            throw new UserException($"{path}: two added tokens are the same: {fault.Message}", fault);
        }

        VocabularySize = model.Tokens.Keys.Concat(byId.Keys).Max() + 1;
        SpecialTokens = ReadSpecialTokens(definition, config, addByFlags);
        if (SpecialTokens.Before.Concat(SpecialTokens.After).Any(id => !Contains(id)))
        {
            throw new UserException($"{path}: the post_processor adds ids that the vocabulary does not have");
        }

        Fingerprint = Hash(file);
    }

    /// <summary>The file that was read.</summary>
    public string Path { get; }

    /// <summary>The highest id plus one, added tokens included.</summary>
    public int VocabularySize { get; }

    /// <summary>BOS and EOS, and what <see cref="Encode"/> puts around a text.</summary>
    public SpecialTokens SpecialTokens { get; }

    /// <summary>SHA-256 of the file and of the special tokens, in hexadecimal. The same hash means the same ids for every text.</summary>
    public string Fingerprint { get; }

    /// <summary>In words, for people.</summary>
    public string Description =>
        $"{model.Kind}, {VocabularySize} tokens ({System.IO.Path.GetFileName(Path)}), BOS {Describe(SpecialTokens.Bos)}, EOS {Describe(SpecialTokens.Eos)}, "
        + (SpecialTokens is { Before: [], After: [] } ? "adds nothing to texts" : $"puts {Ids(SpecialTokens.Before)} before and {Ids(SpecialTokens.After)} after a text");

    /// <summary>Whether a folder has a file that <see cref="Open"/> would read.</summary>
    public static bool ExistsIn(string folder) =>
        File.Exists(System.IO.Path.Combine(folder, ModelFile)) || File.Exists(System.IO.Path.Combine(folder, JsonFileName));

    /// <summary>Opens the tokenizer of a checkpoint folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="vocabSize">Rows of the model's embedding; a tokenizer with more tokens is refused. Null: not checked.</param>
    /// <exception cref="UserException">There is none, or it is damaged or of a kind that is not supported.</exception>
    public static CheckpointTokenizer Open(string folder, int? vocabSize = null)
    {
        var config = TokenizerConfig.Read(folder);
        var tokenizer = Read(folder, config);
        return tokenizer.VocabularySize <= (vocabSize ?? int.MaxValue)
            ? tokenizer
            : throw new UserException($"{tokenizer.Path}: has ids up to {tokenizer.VocabularySize - 1}, but the model's vocab_size is {vocabSize}");
    }

    private static CheckpointTokenizer Read(string folder, TokenizerConfig config)
    {
        var path = System.IO.Path.Combine(folder, ModelFile);
        if (File.Exists(path))
        {
            var bytes = JsonFile.ReadBytes(path, JsonFile.LargeFile);
            var read = SentencePieceFile.Read(bytes, path);
            var pieces = read.Model.Tokens.Keys.Concat(read.Added.Concat(read.Controls).Select(token => token.Id)).Max() + 1;
            return new CheckpointTokenizer(path, bytes, read with { Added = [.. read.Added, .. config.AddedTo(pieces)] }, config, addByFlags: true);
        }

        path = System.IO.Path.Combine(folder, JsonFileName);
        if (File.Exists(path))
        {
            var bytes = JsonFile.ReadBytes(path, JsonFile.LargeFile);
            return new CheckpointTokenizer(path, bytes, TokenizerJson.Read(bytes, path), config, config.IsLlamaClass);
        }

        throw new UserException(
            $"{folder}: has no {ModelFile} and no {JsonFileName}"
            + (File.Exists(System.IO.Path.Combine(folder, "vocab.json"))
                ? "; of vocab.json and merges.txt make one with transformers: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
                : ""));
    }

    IReadOnlyList<int> ITextEncoder.Encode(string text) => Encode(text, addSpecial: false);

    /// <summary>The ids of a text. Safe from several threads at once.</summary>
    /// <param name="text">The text; half a surrogate pair is read as U+FFFD.</param>
    /// <param name="addSpecial">Whether special tokens are put around the text, as the checkpoint says.</param>
    public int[] Encode(string text, bool addSpecial = true)
    {
        text = Nfc.WellFormed(text);
        var ids = new List<int>((text.Length / 3) + 8);
        if (addSpecial)
        {
            ids.AddRange(SpecialTokens.Before);
        }

        var first = true;
        foreach (var (token, plain) in inText.Split(text))
        {
            if (token is not null)
            {
                ids.Add(token.Id);
            }
            else
            {
                EncodePlain(model.Normalize(text[plain], first), ids);
            }

            first = false;
        }

        if (addSpecial)
        {
            ids.AddRange(SpecialTokens.After);
        }

        return [.. ids];
    }

    private void EncodePlain(string normalized, List<int> ids)
    {
        foreach (var (token, plain) in inNormalized.Split(normalized))
        {
            if (token is not null)
            {
                ids.Add(token.Id);
            }
            else
            {
                model.Encode(normalized[plain], ids);
            }
        }
    }

    /// <summary>The text of ids. Bytes that are no UTF-8 become U+FFFD.</summary>
    /// <param name="ids">The ids; those outside the vocabulary are an error.</param>
    /// <param name="skipSpecial">Whether tokens marked special (BOS, EOS, roles) are left out.</param>
    public string Decode(IEnumerable<int> ids, bool skipSpecial = false)
    {
        var bytes = new List<byte>();
        foreach (var id in ids)
        {
            bytes.AddRange(Bytes(id, skipSpecial));
        }

        var text = Encoding.UTF8.GetString([.. bytes]);
        return model.Strip switch
        {
            LeadingSpace.All => text.TrimStart(' '),
            LeadingSpace.One when text.StartsWith(' ') => text[1..],
            _ => text,
        };
    }

    /// <summary>The text of one token; empty for ids that mean none.</summary>
    public string TextOf(int id) => Contains(id) ? Encoding.UTF8.GetString(Bytes(id, skipSpecial: false)) : "";

    /// <summary>Begins to decode ids that come one by one.</summary>
    /// <param name="afterText">Whether the ids go on from a text, so that a leading space is theirs.</param>
    /// <param name="skipSpecial">Whether tokens marked special are left out.</param>
    public StreamingText DecodeStream(bool afterText, bool skipSpecial = true) =>
        new(id => Bytes(id, skipSpecial), afterText ? LeadingSpace.Kept : model.Strip);

    private byte[] Bytes(int id, bool skipSpecial)
    {
        if (byId.TryGetValue(id, out var added))
        {
            return added.Special && skipSpecial ? [] : Encoding.UTF8.GetBytes(added.Text);
        }

        return model.Tokens.TryGetValue(id, out var token)
            ? model.Bytes(token)
            : throw new UserException($"{id} is not a token of {Path}; ids go from 0 to {VocabularySize - 1}");
    }

    private bool Contains(int id) => byId.ContainsKey(id) || model.Tokens.ContainsKey(id);

    private SpecialTokens ReadSpecialTokens(TokenizerDefinition definition, TokenizerConfig config, bool addByFlags)
    {
        var bos = config.Bos is { } bosToken ? Find(bosToken) ?? throw Unknown("bos_token", bosToken) : definition.Bos;
        var eos = config.Eos is { } eosToken ? Find(eosToken) ?? throw Unknown("eos_token", eosToken) : definition.Eos;
        return !addByFlags ? new(bos, eos, definition.Before, definition.After) : new(
            bos, eos,
            config.AddBos ? [bos ?? throw Nothing("add_bos_token", "bos_token")] : [],
            config.AddEos ? [eos ?? throw Nothing("add_eos_token", "eos_token")] : []);
    }

    private int? Find(string text)
    {
        foreach (var token in byId.Values)
        {
            if (token.Text == text)
            {
                return token.Id;
            }
        }

        var bytes = Encoding.UTF8.GetBytes(text);
        return model.Tokens.Where(token => model.Bytes(token.Value).AsSpan().SequenceEqual(bytes)).Select(token => (int?)token.Key).FirstOrDefault();
    }

    private UserException Unknown(string key, string token) =>
        new($"{Path}: tokenizer_config.json's {key} {JsonFile.Show(token)} is no token of it");

    private UserException Nothing(string flag, string token) =>
        new($"{Path}: {flag} is on (LLaMA's default for BOS), but tokenizer_config.json has no {token}");

    private static string Ids(IReadOnlyList<int> ids) => ids.Count == 0 ? "nothing" : string.Join(' ', ids);

    private string Describe(int? id) => id is { } known ? $"{known} {JsonFile.Show(Decode([known]))}" : "none";

    private string Hash(ReadOnlySpan<byte> file)
    {
        var rules = $"{CodeVersion} {System.IO.Path.GetFileName(Path)} {VocabularySize} {SpecialTokens.Bos} {SpecialTokens.Eos} [{string.Join(',', SpecialTokens.Before)}] [{string.Join(',', SpecialTokens.After)}] "
            + string.Join('\n', byId.Values.OrderBy(token => token.Id));
        return Convert.ToHexStringLower(SHA256.HashData([.. SHA256.HashData(file), .. Encoding.UTF8.GetBytes(rules)]));
    }
}
