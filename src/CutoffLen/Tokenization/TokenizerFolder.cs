using CutoffLen.Common;
using CutoffLen.Files;
using CutoffLen.Tokenization.HuggingFace;

namespace CutoffLen.Tokenization;

/// <summary>The tokenizer's files in a checkpoint folder, and which of them transformers would use.</summary>
internal static class TokenizerFolder
{
    private const string Model = "tokenizer.model";
    private const string Json = "tokenizer.json";

    /// <summary>Whether there is a file that <see cref="Read"/> would read.</summary>
    public static bool HasTokenizer(string folder) => File.Exists(Path.Combine(folder, Model)) || File.Exists(Path.Combine(folder, Json));

    /// <summary>
    /// Reads tokenizer.json, or tokenizer.model where that is the only one or where the tokenizer's class is one that reads
    /// it. tiktoken's tokenizer.model, which such classes can't read, gives way to tokenizer.json.
    /// </summary>
    /// <returns>The file, its content, what it says, and what tokenizer_config.json says.</returns>
    /// <exception cref="UserException">There is none, or it is damaged or of a kind that is not supported.</exception>
    public static (string Path, byte[] Content, TokenizerDefinition Definition, TokenizerConfig Config) Read(string folder)
    {
        var config = TokenizerConfig.Read(folder);
        var (model, json) = (Path.Combine(folder, Model), Path.Combine(folder, Json));
        if (File.Exists(model) && (config.ReadsSentencePiece || !File.Exists(json)))
        {
            var content = JsonFile.ReadBytes(model, JsonFile.LargeFile);
            var isTiktoken = TiktokenFile.IsOne(content);
            if (!isTiktoken || !File.Exists(json))
            {
                var definition = isTiktoken ? TiktokenFile.Read(content, model) : SentencePieceFile.Read(content, model, config.Legacy);
                return (model, content, WithTokensOf(config, definition), config);
            }
        }

        if (File.Exists(json))
        {
            var content = JsonFile.ReadBytes(json, JsonFile.LargeFile);
            return (json, content, TokenizerJson.Read(content, json, config), config);
        }

        throw new UserException(
            $"{folder}: has no {Model} and no {Json}"
            + (File.Exists(Path.Combine(folder, "vocab.json"))
                ? "; of vocab.json and merges.txt make one with transformers: AutoTokenizer.from_pretrained(folder).save_pretrained(folder)"
                : ""));
    }

    /// <summary>
    /// Adds the tokens of tokenizer_config.json to those of a tokenizer.model, under the ids that they have there. Special
    /// tokens that neither has get the next ids. A control token of the model file ("&lt;s&gt;") that is not among the added
    /// ones is no token in text, as in SentencePiece.
    /// </summary>
    private static TokenizerDefinition WithTokensOf(TokenizerConfig config, TokenizerDefinition definition)
    {
        List<AddedToken> added =
        [
            .. definition.Added.Where(token => config.Added.All(other => other.Id != token.Id && other.Content != token.Content)),
            .. config.Added.Select(token => token with { Normalized = false }),
        ];
        var known = definition.Model.Tokens.Values.Concat(definition.Controls.Select(token => token.Content)).ToHashSet();
        var next = definition.Model.Tokens.Keys.Concat(added.Concat(definition.Controls).Select(token => token.Id)).Max() + 1;
        added.AddRange(config.SpecialBeside(added, known.Contains).Where(token => !known.Contains(token.Content)).ToList()
            .ConvertAll(token => token with { Id = next++, Normalized = false }));
        return definition with { Added = added, Controls = [.. definition.Controls.Where(token => added.All(other => other.Id != token.Id))] };
    }
}
