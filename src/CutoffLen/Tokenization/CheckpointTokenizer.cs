using System.Security.Cryptography;
using System.Text;
using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Tokenization;

/// <summary>
/// The tokenizer of a checkpoint folder: tokenizer.model (SentencePiece) where there is one, else tokenizer.json, with
/// the BOS and EOS rules of tokenizer_config.json. In text given to a SentencePiece model, "&lt;s&gt;" is plain text, as
/// SentencePiece has it; tokenizer.json's added tokens are found in text, as Hugging Face has it.
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
    private readonly IReadOnlyList<int> before;
    private readonly IReadOnlyList<int> after;

    private CheckpointTokenizer(string path, ReadOnlySpan<byte> file, TokenizerDefinition definition, SpecialTokenRules rules, bool addByFlags)
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
        BosId = rules.Bos is { } bos ? Find(bos) ?? throw Unknown("bos_token", bos) : definition.Bos;
        EosId = rules.Eos is { } eos ? Find(eos) ?? throw Unknown("eos_token", eos) : definition.Eos;
        before = !addByFlags ? definition.Before : rules.AddBos ? [BosId ?? throw Nothing("add_bos_token", "bos_token")] : [];
        after = !addByFlags ? definition.After : rules.AddEos ? [EosId ?? throw Nothing("add_eos_token", "eos_token")] : [];
        if (before.Concat(after).Any(id => !Contains(id)))
        {
            throw new UserException($"{path}: the post_processor adds ids that the vocabulary does not have");
        }

        Fingerprint = Hash(file);
    }

    /// <summary>The file that was read.</summary>
    public string Path { get; }

    /// <summary>The highest id plus one, added tokens included.</summary>
    public int VocabularySize { get; }

    /// <summary>The token that begins texts, or null.</summary>
    public int? BosId { get; }

    /// <summary>The token that ends texts, or null.</summary>
    public int? EosId { get; }

    /// <summary>Whether <see cref="Encode"/> puts BOS (or whatever the checkpoint says) before a text.</summary>
    public bool AddsBefore => before.Count > 0;

    /// <summary>SHA-256 of the file and the rules, in hexadecimal: the same hash means the same ids for every text.</summary>
    public string Fingerprint { get; }

    /// <summary>In words, for people.</summary>
    public string Description =>
        $"{model.Kind}, {VocabularySize} tokens ({System.IO.Path.GetFileName(Path)}), BOS {Describe(BosId)}, EOS {Describe(EosId)}, "
        + (before.Count + after.Count == 0 ? "adds nothing to texts" : $"puts {Ids(before)} before and {Ids(after)} after a text");

    /// <summary>Whether a folder has a file that <see cref="Open"/> would read.</summary>
    public static bool ExistsIn(string folder) =>
        File.Exists(System.IO.Path.Combine(folder, ModelFile)) || File.Exists(System.IO.Path.Combine(folder, JsonFileName));

    /// <summary>Opens the tokenizer of a checkpoint folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="vocabSize">Rows of the model's embedding; a tokenizer with more tokens is refused. Null: not checked.</param>
    /// <exception cref="UserException">There is none, or it is damaged or of a kind that is not supported.</exception>
    public static CheckpointTokenizer Open(string folder, int? vocabSize = null)
    {
        var rules = SpecialTokenRules.Read(folder);
        var tokenizer = Read(folder, rules);
        return tokenizer.VocabularySize <= (vocabSize ?? int.MaxValue)
            ? tokenizer
            : throw new UserException($"{tokenizer.Path}: has ids up to {tokenizer.VocabularySize - 1}, but the model's vocab_size is {vocabSize}");
    }

    private static CheckpointTokenizer Read(string folder, SpecialTokenRules rules)
    {
        var path = System.IO.Path.Combine(folder, ModelFile);
        if (File.Exists(path))
        {
            var bytes = JsonFile.ReadBytes(path, JsonFile.LargeFile);
            var read = SentencePieceFile.Read(bytes, path);
            var pieces = read.Model.Tokens.Keys.Concat(read.Added.Concat(read.Controls).Select(token => token.Id)).Max() + 1;
            return new CheckpointTokenizer(path, bytes, read with { Added = [.. read.Added, .. rules.AddedTo(pieces)] }, rules, addByFlags: true);
        }

        path = System.IO.Path.Combine(folder, JsonFileName);
        if (File.Exists(path))
        {
            var bytes = JsonFile.ReadBytes(path, JsonFile.LargeFile);
            return new CheckpointTokenizer(path, bytes, TokenizerJson.Read(bytes, path), rules, rules.IsLlamaClass);
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
    /// <param name="addSpecial">Whether the checkpoint's rules about BOS and EOS are followed, or the text's own ids are all.</param>
    public int[] Encode(string text, bool addSpecial = true)
    {
        // Through UTF-8, which puts U+FFFD for each half.
        text = HasHalfPair(text) ? Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text)) : text;
        var ids = new List<int>((text.Length / 3) + 8);
        if (addSpecial)
        {
            ids.AddRange(before);
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
            ids.AddRange(after);
        }

        return [.. ids];
    }

    private static bool HasHalfPair(string text)
    {
        for (var at = 0; text.AsSpan(at).IndexOfAnyInRange('\ud800', '\udfff') is >= 0 and var step; at += 2)
        {
            at += step;
            if (at + 1 == text.Length || !char.IsSurrogatePair(text[at], text[at + 1]))
            {
                return true;
            }
        }

        return false;
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
        var rules = $"{CodeVersion} {System.IO.Path.GetFileName(Path)} {VocabularySize} {BosId} {EosId} [{string.Join(',', before)}] [{string.Join(',', after)}] "
            + string.Join('\n', byId.Values.OrderBy(token => token.Id));
        return Convert.ToHexStringLower(SHA256.HashData([.. SHA256.HashData(file), .. Encoding.UTF8.GetBytes(rules)]));
    }
}
