using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Tokenization;

/// <summary>
/// Ids and texts of libsentencepiece and of Hugging Face's tokenizers library for small tokenizers of ours; see
/// tests/golden/tokenizers/README.md.
/// </summary>
public sealed class TokenizerReferenceTests
{
    public static TheoryData<string, string> Variants()
    {
        var variants = new TheoryData<string, string>();
        foreach (var name in new[] { "sp-kept", "sp-trimmed", "bytes", "metaspace" })
        {
            foreach (var variant in Expected(name))
            {
                variants.Add(name, (string)variant!["name"]!);
            }
        }

        return variants;
    }

    [Theory]
    [MemberData(nameof(Variants))]
    public void Ids_and_texts_are_the_references(string name, string variant)
    {
        var expected = Expected(name).Single(item => (string)item!["name"]! == variant)!.AsObject();
        using var folder = new TemporaryFolder();
        var tokenizer = Open(folder, name, expected["change"] as JsonObject ?? []);
        foreach (var item in expected["cases"]!.AsArray())
        {
            var text = (string)item!["text"]!;
            var ids = Ids(item["ids"]);
            AssertSame(ids, tokenizer.Encode(text, addSpecial: false), text);
            Assert.Equal((string)item["decoded"]!, tokenizer.Decode(ids));
            Assert.Equal((string)item["decoded"]!, Streamed(tokenizer, ids));
            if (item["with_special"] is { } special)
            {
                AssertSame(Ids(special), tokenizer.Encode(text), text);
                AssertSame(Ids(special), [.. tokenizer.SpecialTokens.Before, .. ids, .. tokenizer.SpecialTokens.After], text);
                Assert.Equal((string)item["decoded_without_special"]!, tokenizer.Decode(Ids(special), skipSpecial: true));
            }
        }
    }

    private static CheckpointTokenizer Open(TemporaryFolder folder, string name, JsonObject change)
    {
        if (File.Exists(Path.Combine(Golden.Path("tokenizers"), name, "tokenizer.model")))
        {
            return CheckpointTokenizer.Open(Golden.Path($"tokenizers/{name}"));
        }

        var json = JsonNode.Parse(File.ReadAllText(Golden.Path($"tokenizers/{name}/tokenizer.json")))!.AsObject();
        foreach (var (key, value) in change)
        {
            var inModel = key.StartsWith("model.", StringComparison.Ordinal);
            (inModel ? json["model"]! : json)[inModel ? key[6..] : key] = value?.DeepClone();
        }

        folder.Write("tokenizer.json", json.ToJsonString());
        return CheckpointTokenizer.Open(folder.Root);
    }

    private static string Streamed(CheckpointTokenizer tokenizer, int[] ids)
    {
        var stream = tokenizer.DecodeStream(after: [], skipSpecial: false);
        return string.Concat(ids.Select(stream.Push)) + stream.Flush();
    }

    private static void AssertSame(int[] expected, int[] actual, string text) => Assert.True(
        expected.AsSpan().SequenceEqual(actual),
        $"{JsonSerializer.Serialize(text)}: [{string.Join(",", actual)}], expected [{string.Join(",", expected)}]");

    private static JsonArray Expected(string name) =>
        JsonNode.Parse(File.ReadAllText(Golden.Path($"tokenizers/{name}/expected.json")))!.AsArray();

    private static int[] Ids(JsonNode? list) => [.. list!.AsArray().Select(id => (int)id!)];
}
