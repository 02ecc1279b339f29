using System.Text;
using System.Text.Json.Nodes;
using CutoffLen.Tokenization.HuggingFace;
using Tokenizers.DotNet;

namespace CutoffLen.Tests.Tokenization.HuggingFace;

/// <summary>
/// Oniguruma, asked by way of Hugging Face's library. Text is split by the expression, and each part becomes its bytes, of
/// which all but the first have a mark (continuing_subword_prefix), so that the ids show where the parts begin.
/// </summary>
internal sealed class OnigurumaOracle : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly Tokenizer tokenizer;

    public OnigurumaOracle(string expression, string behavior = "Isolated", bool invert = false)
    {
        var letters = ByteAlphabet.Characters;
        tokenizer = new Tokenizer(folder.Write("tokenizer.json", new JsonObject
        {
            ["version"] = "1.0",
            ["truncation"] = null,
            ["padding"] = null,
            ["added_tokens"] = new JsonArray(),
            ["normalizer"] = null,
            ["pre_tokenizer"] = new JsonObject
            {
                ["type"] = "Sequence",
                ["pretokenizers"] = new JsonArray(
                    new JsonObject { ["type"] = "Split", ["pattern"] = new JsonObject { ["Regex"] = expression }, ["behavior"] = behavior, ["invert"] = invert },
                    new JsonObject { ["type"] = "ByteLevel", ["add_prefix_space"] = false, ["trim_offsets"] = false, ["use_regex"] = false }),
            },
            ["post_processor"] = null,
            ["decoder"] = null,
            ["model"] = new JsonObject
            {
                ["type"] = "BPE",
                ["continuing_subword_prefix"] = "##",
                ["vocab"] = new JsonObject([
                    .. letters.Index().Select(letter => KeyValuePair.Create($"{letter.Item}", (JsonNode?)letter.Index)),
                    .. letters.Index().Select(letter => KeyValuePair.Create($"##{letter.Item}", (JsonNode?)(256 + letter.Index))),
                ]),
                ["merges"] = new JsonArray(),
            },
        }.ToJsonString()));
    }

    /// <summary>The parts of a text.</summary>
    public List<string> Parts(string text)
    {
        var parts = new List<List<byte>>();
        foreach (var id in tokenizer.Encode(text))
        {
            if (id < 256)
            {
                parts.Add([]);
            }

            parts[^1].Add((byte)id);
        }

        return parts.ConvertAll(part => Encoding.UTF8.GetString([.. part]));
    }

    public void Dispose()
    {
        tokenizer.Dispose();
        folder.Dispose();
    }
}
