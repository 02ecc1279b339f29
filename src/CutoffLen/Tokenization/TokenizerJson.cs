using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Tokenization;

/// <summary>
/// tokenizer.json (Hugging Face's tokenizers library): byte pair encoding, byte-level as in LLaMA 3, or with
/// U+2581 for spaces and byte fallback as in LLaMA 2 and Mistral. Anything else in the file is an error, because it
/// would silently give other ids.
/// </summary>
internal static class TokenizerJson
{
    /// <summary>Reads the file.</summary>
    /// <param name="json">Its content.</param>
    /// <param name="path">Its name in error messages.</param>
    public static TokenizerDefinition Read(ReadOnlyMemory<byte> json, string path)
    {
        using var document = JsonFile.Parse(json, path);
        try
        {
            var root = JsonPart.Root(document.RootElement);
            var model = root["model"];
            Require(model, "type", type => type is "BPE" or null, "BPE");
            Require(model, "continuing_subword_prefix", string.IsNullOrEmpty, "none");
            Require(model, "end_of_word_suffix", string.IsNullOrEmpty, "none");
            if (model["dropout"].Number() is not (null or 0))
            {
                throw new InvalidDataException("model.dropout is set, which would make ids random");
            }

            var pipeline = TokenizerPipeline.Read(root);
            var added = ReadAdded(root["added_tokens"]);
            var (before, after) = PostProcessor.Read(root["post_processor"]);
            TokenModel built = pipeline.ByteLevel ? BuildByteLevel(model, pipeline) : BuildMetaspace(model, pipeline);
            return new TokenizerDefinition(built, Normalized(added, pipeline, built), before, after, Bos: null, Eos: null, Controls: []);
        }
        catch (Exception fault) when (fault is InvalidDataException or InvalidOperationException or ArgumentException)
        {
            throw new UserException($"{path}: not a tokenizer that can be used: {fault.Message}", fault);
        }
    }

    private static void Require(JsonPart part, string key, Func<string?, bool> accept, string allowed)
    {
        if (!accept(part[key].Text()))
        {
            throw new InvalidDataException($"{part[key].Path} is {part[key]}; supported is {allowed}");
        }
    }

    private static List<AddedToken> ReadAdded(JsonPart list) =>
    [
        .. list.Items().Select(token => new AddedToken(
            token["id"].Id(),
            token["content"].Text() is { Length: > 0 } content ? content : throw new InvalidDataException($"{token.Path} has no content"),
            token["special"].Flag(),
            token["lstrip"].Flag(),
            token["rstrip"].Flag(),
            token["single_word"].Flag(),
            token["normalized"].Flag()))
    ];

    /// <summary>Tokens marked "normalized" are looked for in normalized text, in their own normalized form.</summary>
    private static List<AddedToken> Normalized(List<AddedToken> added, TokenizerPipeline pipeline, TokenModel model) =>
        added.ConvertAll(token => token.Normalized && pipeline.HasNormalizer
            ? token with { Content = model.Normalize(token.Content, first: true) }
            : token with { Normalized = false });

    private static Dictionary<string, int> ReadVocabulary(JsonPart vocabulary)
    {
        var tokens = new Dictionary<string, int>(StringComparer.Ordinal);
        var ids = new HashSet<int>();
        foreach (var (token, value) in vocabulary.Properties())
        {
            var id = value.Id();
            if (token.Length == 0 || !ids.Add(id))
            {
                throw new InvalidDataException($"{value.Path} is empty or has the id of another token");
            }

            tokens.Add(token, id);
        }

        return tokens.Count > 0 ? tokens : throw new InvalidDataException("model.vocab is empty");
    }

    /// <summary>"left right", or since 2024 ["left", "right"]. The package checks that both are tokens.</summary>
    private static List<string> ReadMerges(JsonPart merges)
    {
        var list = new List<string>();
        foreach (var merge in merges.Items())
        {
            var text = merge.Text() ?? string.Join(' ', merge.Items().Select(part => part.Text()));
            var cut = text.IndexOf(' ');
            if (cut <= 0 || cut == text.Length - 1 || text.IndexOf(' ', cut + 1) >= 0)
            {
                throw new InvalidDataException($"{merge.Path} is {merge}; allowed are two tokens");
            }

            list.Add(text);
        }

        return list;
    }

    private static ByteLevelModel BuildByteLevel(JsonPart model, TokenizerPipeline pipeline)
    {
        var vocabulary = ReadVocabulary(model["vocab"]);
        if (ByteAlphabet.Characters.Any(letter => !vocabulary.ContainsKey(letter.ToString())))
        {
            throw new InvalidDataException("model.vocab lacks some of the 256 byte tokens of a byte-level vocabulary");
        }

        return ByteLevelModel.Create(new ByteLevelParts(
            vocabulary,
            ReadMerges(model["merges"]),
            pipeline.Words,
            model["ignore_merges"].Flag(),
            pipeline.AddPrefixSpace,
            pipeline.NormalizeToC));
    }

    private static MetaspaceModel BuildMetaspace(JsonPart model, TokenizerPipeline pipeline)
    {
        if (!model["byte_fallback"].Flag())
        {
            throw new InvalidDataException("neither byte-level nor with byte_fallback; such a tokenizer is not supported");
        }

        var vocabulary = ReadVocabulary(model["vocab"]);
        var merges = ReadMerges(model["merges"]);
        var byteIds = Enumerable.Repeat(-1, 256).ToArray();
        var pieces = new Dictionary<string, int>(StringComparer.Ordinal);
        foreach (var (token, id) in vocabulary)
        {
            if (!SentencePieceFile.SetByteId(byteIds, token, id))
            {
                pieces.Add(token, id);
            }
        }

        SentencePieceFile.RequireAllBytes(byteIds);
        return MetaspaceModel.Create(pieces, byteIds, merges, pipeline.Whitespace);
    }
}
