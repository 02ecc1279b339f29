using CutoffLen.Common;
using CutoffLen.Files;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>
/// tokenizer.json, the file of Hugging Face's tokenizers library, with a BPE model. What is not supported is an error,
/// because it would silently give other ids. truncation and padding are not read: transformers switches both off.
/// </summary>
internal static class TokenizerJson
{
    /// <summary>Reads the file.</summary>
    /// <param name="json">Its content.</param>
    /// <param name="path">Its name in error messages.</param>
    /// <param name="config">Adds tokens.</param>
    public static TokenizerDefinition Read(ReadOnlyMemory<byte> json, string path, TokenizerConfig config)
    {
        using var document = JsonFile.Parse(json, path);
        try
        {
            var root = JsonPart.Root(document.RootElement);
            Require(root, "version", version => version is "1.0" or null, "1.0");
            var model = ReadModel(root["model"]);
            var (before, after) = PostProcessors.Read(root["post_processor"]);
            var added = root["added_tokens"].Items().Select(token => ReadAdded(token, path)).Where(token => token.Content.Length > 0).ToList();
            var special = config.SpecialBeside([.. added, .. config.Added], token => model.Find(token) is not null);
            var definition = new TokenizerDefinition(
                KindOf(root),
                [.. Normalizers.Read(root["normalizer"])],
                [.. PreTokenizers.Read(root["pre_tokenizer"])],
                model,
                [.. Decoders.Read(root["decoder"])])
            {
                Before = before,
                After = after,
            };
            return definition with
            {
                Added = [.. AddedToken.Assign(model, added, [.. config.Added, .. special]).Select(token => token.Normalized ? WithPattern(token, definition) : token)],
            };
        }
        catch (Exception fault) when (fault is InvalidDataException or InvalidOperationException or ArgumentException)
        {
            throw new UserException($"{path}: not a tokenizer that can be used: {fault.Message}", fault);
        }
    }

    /// <summary>The merges of the file's model, the first to be merged first.</summary>
    public static IEnumerable<(string Left, string Right)> Merges(JsonPart model) => model["merges"].Items().Where(merge => !IsHeading(merge)).Select(ReadMerge);

    private static BpeModel ReadModel(JsonPart model)
    {
        Require(model, "type", type => type is "BPE" or null, "BPE");
        Require(model, "continuing_subword_prefix", string.IsNullOrEmpty, "none");
        Require(model, "end_of_word_suffix", string.IsNullOrEmpty, "none");
        if (model["dropout"].Number() is not (null or 0))
        {
            throw new InvalidDataException("model.dropout is set, which would make ids random");
        }

        return new BpeModel(ReadVocabulary(model["vocab"]), [.. Merges(model)], new BpeRules(
            model["byte_fallback"].Flag(),
            model["unk_token"].Text(),
            model["fuse_unk"].Flag(),
            model["ignore_merges"].Flag()));
    }

    private static void Require(JsonPart part, string key, Func<string?, bool> accept, string allowed)
    {
        if (!accept(part[key].Text()))
        {
            throw new InvalidDataException($"{part[key].Path} is {part[key]}; supported is {allowed}");
        }
    }

    private static string KindOf(JsonPart root)
    {
        var steps = root["pre_tokenizer"]["type"].Text() == "Sequence" ? root["pre_tokenizer"]["pretokenizers"].Items() : [root["pre_tokenizer"]];
        return steps.Append(root["normalizer"]).Any(step => step["type"].Text() == "ByteLevel") ? "byte-level BPE"
            : root["model"]["byte_fallback"].Flag() ? "BPE with byte fallback"
            : "BPE";
    }

    private static AddedToken ReadAdded(JsonPart token, string path) => new(
        token["id"].Id(),
        token["content"].Text() ?? throw new InvalidDataException($"{token.Path} has no content"),
        token["special"].Flag(),
        token["lstrip"].Flag(),
        token["rstrip"].Flag(),
        token["single_word"].Flag(),
        token["normalized"].Flag(),
        path);

    private static AddedToken WithPattern(AddedToken token, TokenizerDefinition definition)
    {
        var pattern = definition.Normalize(new TextPart(token.Content, first: true)).Text;
        return pattern.Length > 0
            ? token with { Pattern = pattern }
            : throw new InvalidDataException($"the added token {JsonFile.Show(token.Content)} is normalized to nothing");
    }

    private static Dictionary<string, int> ReadVocabulary(JsonPart vocabulary)
    {
        var tokens = new Dictionary<string, int>(StringComparer.Ordinal);
        var ids = new HashSet<int>();
        foreach (var (token, value) in vocabulary.Properties())
        {
            var id = value.Id();
            if (!ids.Add(id))
            {
                throw new InvalidDataException($"{value.Path} has the id of another token");
            }

            tokens.Add(token, id);
        }

        return tokens.Count > 0 ? tokens : throw new InvalidDataException("model.vocab is empty");
    }

    // The first line of a merges.txt, "#version: 0.2".
    private static bool IsHeading(JsonPart merge) => merge.Text()?.StartsWith("#version", StringComparison.Ordinal) == true;

    /// <summary>"left right", or since 2024 ["left", "right"].</summary>
    private static (string Left, string Right) ReadMerge(JsonPart merge)
    {
        var parts = merge.Text()?.Split(' ') ?? [.. merge.Items().Select(part => part.Text() ?? "")];
        return parts is [{ Length: > 0 } left, { Length: > 0 } right] ? (left, right) : throw new InvalidDataException($"{merge.Path} is {merge}; allowed are two tokens");
    }
}
