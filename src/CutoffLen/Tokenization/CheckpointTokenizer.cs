using System.Security.Cryptography;
using System.Text;
using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Tokenization.HuggingFace;

namespace CutoffLen.Tokenization;

/// <summary>
/// The tokenizer of a checkpoint folder, with the ids that transformers gives: tokenizer.json, or tokenizer.model
/// (SentencePiece, tiktoken), with BOS, EOS and added tokens by tokenizer_config.json.
/// </summary>
public sealed class CheckpointTokenizer : ITextEncoder
{
    // Raised whenever a change to this code changes the ids of any text.
    private const int CodeVersion = 3;

    private readonly TokenizerDefinition definition;
    private readonly int vocabSize;
    private readonly AddedTokens inText;
    private readonly AddedTokens inNormalized;
    private readonly Dictionary<int, AddedToken> byId;

    private CheckpointTokenizer(string path, ReadOnlySpan<byte> file, TokenizerDefinition definition, TokenizerConfig config, int? vocabSize)
    {
        Path = path;
        this.definition = definition;
        this.vocabSize = vocabSize ?? int.MaxValue;
        inText = new AddedTokens(definition.Added.Where(token => !token.Normalized));
        inNormalized = new AddedTokens(definition.Added.Where(token => token.Normalized));
        try
        {
            byId = definition.Added.Concat(definition.Controls).ToDictionary(token => token.Id);
        }
        catch (ArgumentException fault)
        {
            throw new UserException($"{path}: two added tokens are the same: {fault.Message}", fault);
        }

        VocabularySize = definition.Model.Tokens.Keys.Concat(byId.Keys).Max() + 1;
        SpecialTokens = ReadSpecialTokens(config);
        CheckIds();
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
        $"{definition.Kind}, {VocabularySize} tokens ({System.IO.Path.GetFileName(Path)}), BOS {Describe(SpecialTokens.Bos)}, EOS {Describe(SpecialTokens.Eos)}, "
        + (SpecialTokens is { Before: [], After: [] } ? "adds nothing to texts" : $"puts {Ids(SpecialTokens.Before)} before and {Ids(SpecialTokens.After)} after a text");

    /// <summary>Whether a folder has a file that <see cref="Open"/> would read.</summary>
    public static bool ExistsIn(string folder) => TokenizerFolder.HasTokenizer(folder);

    /// <summary>Opens the tokenizer of a checkpoint folder.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="vocabSize">
    /// Rows of the model's embedding; a tokenizer with more tokens is refused, but added ones may lie beyond as long as no
    /// text has them. Null: not checked.
    /// </param>
    /// <exception cref="UserException">There is none, or it is damaged or of a kind that is not supported.</exception>
    public static CheckpointTokenizer Open(string folder, int? vocabSize = null)
    {
        var (path, content, definition, config) = TokenizerFolder.Read(folder);
        return new CheckpointTokenizer(path, content, definition, config, vocabSize);
    }

    IReadOnlyList<int> ITextEncoder.Encode(string text) => Encode(text, addSpecial: false);

    /// <summary>The ids of a text. Safe from several threads at once.</summary>
    /// <param name="text">The text; half a surrogate pair is read as U+FFFD.</param>
    /// <param name="addSpecial">Whether special tokens are put around the text, as the checkpoint says.</param>
    /// <exception cref="UserException">The text has an added token that the model has no row for.</exception>
    public int[] Encode(string text, bool addSpecial = true)
    {
        text = UnicodeForms.WellFormed(text);
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
                ids.Add(Checked(token));
            }
            else
            {
                EncodePlain(definition.Normalize(new TextPart(text[plain], first)), ids);
            }

            first = false;
        }

        if (addSpecial)
        {
            ids.AddRange(SpecialTokens.After);
        }

        return [.. ids];
    }

    private void EncodePlain(TextPart normalized, List<int> ids)
    {
        foreach (var (token, plain) in inNormalized.Split(normalized.Text))
        {
            if (token is not null)
            {
                ids.Add(Checked(token));
            }
            else
            {
                definition.Encode(normalized.Slice(plain.Start.Value, plain.End.Value), ids);
            }
        }
    }

    /// <summary>The text of ids. Bytes that are no UTF-8 become U+FFFD.</summary>
    /// <param name="ids">The ids; those outside the vocabulary are an error.</param>
    /// <param name="skipSpecial">Whether tokens marked special (BOS, EOS, roles) are left out.</param>
    public string Decode(IEnumerable<int> ids, bool skipSpecial = false) =>
        definition.Decode(ids.Where(id => !(skipSpecial && byId.TryGetValue(id, out var added) && added.Special)).Select(id => TokenOf(id)
            ?? throw new UserException($"{id} is not a token of {Path}; ids go from 0 to {VocabularySize - 1}")));

    /// <summary>The text of one token; empty for ids that mean none.</summary>
    public string TextOf(int id) => TokenOf(id) is { } token ? definition.Decode([token]) : "";

    /// <summary>Begins to decode ids that come one by one.</summary>
    /// <param name="after">The ids that they go on from; none at the beginning of a text.</param>
    /// <param name="skipSpecial">Whether tokens marked special are left out.</param>
    public StreamingText DecodeStream(IEnumerable<int> after, bool skipSpecial = true) => new(ids => Decode(ids, skipSpecial), after);

    private string? TokenOf(int id) => byId.TryGetValue(id, out var added) ? added.Content : definition.Model.Tokens.GetValueOrDefault(id);

    private int Checked(AddedToken token) => token.Id < vocabSize ? token.Id : throw new UserException(
        $"{token.File}: the token {JsonFile.Show(token.Content)} has id {token.Id}, but the model's vocab_size is {vocabSize}, and the text has it");

    private void CheckIds()
    {
        if (definition.Model.Tokens.Keys.Max() is var last && last >= vocabSize)
        {
            throw new UserException($"{Path}: has ids up to {last}, but the model's vocab_size is {vocabSize}");
        }

        foreach (var id in SpecialTokens.Before.Concat(SpecialTokens.After))
        {
            if (TokenOf(id) is null)
            {
                throw new UserException($"{Path}: the post_processor adds ids that the vocabulary does not have");
            }

            if (id >= vocabSize)
            {
                throw new UserException($"{byId[id].File}: {id} is put around every text, but the model's vocab_size is {vocabSize}");
            }
        }
    }

    private SpecialTokens ReadSpecialTokens(TokenizerConfig config)
    {
        var bos = config.Bos is { } bosToken ? Find(bosToken) ?? throw Unknown("bos_token", bosToken) : definition.Bos;
        var eos = config.Eos is { } eosToken ? Find(eosToken) ?? throw Unknown("eos_token", eosToken) : definition.Eos;
        return !(definition.AddsByFlags || config.IsLlamaClass) ? new(bos, eos, definition.Before, definition.After) : new(
            bos, eos,
            config.AddBos ? [bos ?? throw Nothing("add_bos_token", "bos_token")] : [],
            config.AddEos ? [eos ?? throw Nothing("add_eos_token", "eos_token")] : []);
    }

    private int? Find(string text) => definition.Model.Find(text) ?? byId.Values.Where(token => token.Content == text).Select(token => (int?)token.Id).FirstOrDefault();

    private UserException Unknown(string key, string token) =>
        new($"{Path}: tokenizer_config.json's {key} {JsonFile.Show(token)} is no token of it");

    private UserException Nothing(string flag, string token) =>
        new($"{Path}: {flag} is on (LLaMA's default for BOS), but tokenizer_config.json has no {token}");

    private static string Ids(IReadOnlyList<int> ids) => ids.Count == 0 ? "nothing" : string.Join(' ', ids);

    private string Describe(int? id) => id is { } known ? $"{known} {JsonFile.Show(TokenOf(known)!)}" : "none";

    private string Hash(ReadOnlySpan<byte> file)
    {
        var rules = $"{CodeVersion} {System.IO.Path.GetFileName(Path)} {VocabularySize} {SpecialTokens.Bos} {SpecialTokens.Eos} [{string.Join(',', SpecialTokens.Before)}] [{string.Join(',', SpecialTokens.After)}] "
            + (byId.Keys.DefaultIfEmpty().Max() >= vocabSize ? $"below {vocabSize} " : "") + string.Join('\n', byId.Values.OrderBy(token => token.Id).Select(token => token with { File = "" }));
        return Convert.ToHexStringLower(SHA256.HashData([.. SHA256.HashData(file), .. Encoding.UTF8.GetBytes(rules)]));
    }
}
