using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Tokenization;
using CutoffLen.Tokenization.HuggingFace;
using Kind = CutoffLen.Tokenization.PieceKind;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>
/// A tokenizer in llama.cpp's keys. <c>gpt2</c> is byte-level BPE by a list of merges, in words cut by a pre-tokenizer that llama.cpp knows by name.
/// <c>llama</c> is SentencePiece BPE by scores, whose token types llama.cpp uses for both. A token list has an entry for each row of the embedding.
/// </summary>
internal sealed class GgufTokenizer
{
    private const string Space = "▁";

    private readonly string[] tokens;
    private readonly Kind[] kinds;
    private readonly float[] scores;
    private readonly List<(string Left, string Right)> merges = [];
    private readonly List<string> notes = [];
    private readonly TokenizerConfig settings;
    private readonly CheckpointTokenizer tokenizer;
    private string? preTokenizer; // null: SentencePiece
    private bool addsSpace;

    /// <summary>Reads a folder's tokenizer.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="tokenizer">Its tokenizer, which says the special tokens.</param>
    /// <param name="vocabSize">Rows of the embedding.</param>
    /// <exception cref="UserException">llama.cpp would give texts other ids.</exception>
    public GgufTokenizer(string folder, CheckpointTokenizer tokenizer, int vocabSize)
    {
        this.tokenizer = tokenizer;
        (var path, var content, var definition, settings) = TokenizerFolder.Read(folder);
        tokens = [.. Enumerable.Range(0, vocabSize).Select(id => $"[PAD{id}]")];
        kinds = [.. Enumerable.Repeat(Kind.Unused, vocabSize)];
        scores = new float[vocabSize];
        try
        {
            foreach (var (id, token) in definition.Model.Tokens)
            {
                (tokens[id], kinds[id]) = (token, Kind.Normal);
            }

            if (!path.EndsWith(".json", StringComparison.Ordinal))
            {
                ReadSentencePiece(content, path);
            }
            else
            {
                using var document = JsonFile.Parse(content, path);
                ReadJson(JsonPart.Root(document.RootElement), definition);
            }

            AddTokens(definition);
        }
        catch (InvalidDataException fault)
        {
            throw new UserException($"{path}: llama.cpp would give texts other ids than this tokenizer: {fault.Message}", fault);
        }
    }

    /// <summary>In words.</summary>
    public string Description => preTokenizer is null ? "llama (SentencePiece)" : $"gpt2 (byte-level BPE), words of {preTokenizer}";

    /// <summary>Where llama.cpp differs all the same.</summary>
    public IReadOnlyList<string> Notes => notes;

    /// <summary>Adds its keys.</summary>
    /// <param name="metadata">The file's.</param>
    /// <param name="modelBos">The model's BOS, where the tokenizer names none and puts none before a text.</param>
    /// <param name="modelEnds">The tokens that end the model's texts. The first is EOS where the tokenizer names none.</param>
    public void AddTo(GgufMetadata metadata, int? modelBos, IReadOnlyList<int> modelEnds)
    {
        metadata.Add("tokenizer.ggml.model", preTokenizer is null ? "llama" : "gpt2");
        metadata.Add("tokenizer.ggml.pre", preTokenizer ?? "default");
        metadata.Add("tokenizer.ggml.tokens", tokens);
        metadata.Add("tokenizer.ggml.token_type", Array.ConvertAll(kinds, kind => (int)kind));
        if (preTokenizer is null)
        {
            metadata.Add("tokenizer.ggml.scores", scores);
            metadata.Add("tokenizer.ggml.add_space_prefix", addsSpace);
        }
        else
        {
            metadata.Add("tokenizer.ggml.merges", merges.ConvertAll(merge => $"{merge.Left} {merge.Right}"));
        }

        var special = tokenizer.SpecialTokens;
        var (bos, eos) = (special.Bos ?? Only(special.Before) ?? modelBos, special.Eos ?? Only(special.After) ?? (modelEnds is [var first, ..] ? first : null));
        // llama.cpp ends a generation at each of the three, and knows no others by id.
        int?[] others = [.. modelEnds.Distinct().Where(id => id != eos)];
        if (others.Length > 2)
        {
            notes.Add($"a GGUF file names three tokens that end a generation; llama.cpp goes on after {string.Join(", ", others.Skip(2).Select(id => JsonFile.Show(tokens[id!.Value])))}, unless it knows their texts");
        }

        foreach (var (name, id) in new[]
        {
            ("bos", bos), ("eos", eos), ("eot", others.ElementAtOrDefault(0)), ("eom", others.ElementAtOrDefault(1)),
            ("unknown", Find(settings.Unknown) ?? Find(kinds, Kind.Unknown)), ("padding", Find(settings.Padding)),
        })
        {
            if (id < tokens.Length)
            {
                metadata.Add($"tokenizer.ggml.{name}_token_id", id.Value);
            }
        }

        metadata.Add("tokenizer.ggml.add_bos_token", Adds(special.Before, bos, "before"));
        metadata.Add("tokenizer.ggml.add_eos_token", Adds(special.After, eos, "after"));
        if (settings.ChatTemplate is { } template)
        {
            metadata.Add("tokenizer.chat_template", template);
        }
    }

    private bool Adds(IReadOnlyList<int> ids, int? special, string where) =>
        ids.Count == 0 || Only(ids) == special
            ? ids.Count > 0
            : throw new UserException($"{tokenizer.Path}: puts the tokens {string.Join(' ', ids)} {where} a text; llama.cpp can put BOS before and EOS after it, and nothing else");

    private static int? Only(IReadOnlyList<int> ids) => ids is [var id] ? id : null;

    private int? Find(string? token) => token is not null && Array.IndexOf(tokens, token) is >= 0 and var id ? id : null;

    private static int? Find(Kind[] kinds, Kind kind) => Array.IndexOf(kinds, kind) is >= 0 and var id ? id : null;

    private void AddTokens(TokenizerDefinition definition)
    {
        if (definition.Controls.Count > 0 || definition.Added.Any(token => token.Pattern != token.Content.Replace(" ", Space, StringComparison.Ordinal) && token.Pattern != token.Content))
        {
            notes.Add("llama.cpp finds special tokens wherever they are written out in a text, such as <s>; this tokenizer does not");
        }

        foreach (var token in definition.Added.Where(token => token.Id < tokens.Length))
        {
            if (token.StripLeft || token.StripRight || token.SingleWord)
            {
                throw new InvalidDataException($"the added token {JsonFile.Show(token.Content)} takes white space beside it, or stands for single words only");
            }

            if (kinds[token.Id] == Kind.Normal && tokens[token.Id] != token.Content)
            {
                throw new InvalidDataException($"the added token {JsonFile.Show(token.Content)} has the id of {JsonFile.Show(tokens[token.Id])}");
            }

            // Those of normalized text have its sign for a space; llama.cpp looks for them in the text as it stands.
            tokens[token.Id] = token.Normalized ? token.Content.Replace(Space, " ", StringComparison.Ordinal) : token.Content;
            kinds[token.Id] = kinds[token.Id] is Kind.Unknown or Kind.Byte ? kinds[token.Id] : token.Special ? Kind.Control : Kind.UserDefined;
        }
    }

    private void ReadSentencePiece(byte[] content, string path)
    {
        if (TiktokenFile.IsOne(content))
        {
            throw new UserException(
                $"{path}: is tiktoken's, and GGUF needs the merges of a tokenizer.json; make one with transformers: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)");
        }

        var model = SentencePieceModel.Read(content);
        if (model.RemoveExtra)
        {
            throw new InvalidDataException("it removes white space (remove_extra_whitespaces)");
        }

        addsSpace = model.AddPrefix;
        NoteSpace(addsSpace && !settings.Legacy);
        foreach (var (id, piece) in model.Pieces.Index().Where(piece => piece.Index < tokens.Length))
        {
            (tokens[id], kinds[id], scores[id]) = (piece.Text, piece.Kind, piece.Score);
        }
    }

    private void ReadJson(JsonPart root, TokenizerDefinition definition)
    {
        merges.AddRange(TokenizerJson.Merges(root["model"]));
        var normalizers = Steps(root["normalizer"], "normalizers");
        if (SpacePrefix(root, normalizers, definition.Model) is { } prefix)
        {
            addsSpace = prefix;
            foreach (var (token, score) in MergeScores.Of(merges, definition.Model))
            {
                scores[definition.Model.Find(token)!.Value] = score;
            }

            foreach (var value in Enumerable.Range(0, 256))
            {
                kinds[definition.Model.Find($"<0x{value:X2}>")!.Value] = Kind.Byte;
            }

            if (definition.Model.Find(settings.Unknown ?? "<unk>") is { } unknown)
            {
                kinds[unknown] = Kind.Unknown;
            }

            return;
        }

        preTokenizer = GgufPreTokenizers.Name(Steps(root["pre_tokenizer"], "pretokenizers"), root["model"]["ignore_merges"].Flag()) ?? throw new InvalidDataException(
            $"it has no name for pre_tokenizer {root["pre_tokenizer"]} with ignore_merges {(root["model"]["ignore_merges"].Flag() ? "true" : "false")}; "
            + $"those that can be exported are {string.Join(", ", GgufPreTokenizers.Names)}, and SentencePiece's");
        foreach (var step in normalizers)
        {
            if (step["type"].Text() != "NFC")
            {
                throw new InvalidDataException($"{step.Path} is {step}, and it normalizes no text");
            }

            notes.Add("the tokenizer normalizes texts to NFC, llama.cpp does not: other texts get other ids there");
        }
    }

    /// <summary>Whether a space is put before a text, in the forms that SentencePiece's models have in tokenizer.json; null for all others.</summary>
    private bool? SpacePrefix(JsonPart root, IReadOnlyList<JsonPart> normalizers, BpeModel model)
    {
        if (!root["model"]["byte_fallback"].Flag() || Enumerable.Range(0, 256).Any(value => model.Find($"<0x{value:X2}>") is null))
        {
            return null;
        }

        bool IsPrepend(JsonPart step) => step["type"].Text() == "Prepend" && step["prepend"].Text() == Space;
        bool IsReplace(JsonPart step) => step["type"].Text() == "Replace" && step["pattern"]["String"].Text() == " " && step["content"].Text() == Space;
        switch (normalizers)
        {
            case [var prepend, var replace] when root["pre_tokenizer"].IsNull && IsPrepend(prepend) && IsReplace(replace):
                return true;
            case [var replace] when root["pre_tokenizer"].IsNull && IsReplace(replace):
                return false;
            case [] when root["pre_tokenizer"]["type"].Text() == "Metaspace"
                && MetaspaceSettings.Read(root["pre_tokenizer"]) is { Replacement: '▁', Split: false, Scheme: var scheme }:
                NoteSpace(scheme != PrependScheme.Never);
                return scheme != PrependScheme.Never;
            default:
                return null;
        }
    }

    private void NoteSpace(bool differs) => notes.AddRange(
        differs ? ["the tokenizer puts a space before a text that begins with none; llama.cpp puts one before every text, and after each special token in it"] : []);

    private static List<JsonPart> Steps(JsonPart part, string several) =>
        part.IsNull ? [] : part["type"].Text() == "Sequence" ? [.. part[several].Items().SelectMany(item => Steps(item, several))] : [part];
}
