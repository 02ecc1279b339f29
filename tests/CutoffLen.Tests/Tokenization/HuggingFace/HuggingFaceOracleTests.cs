namespace CutoffLen.Tests.Tokenization.HuggingFace;

/// <summary>Ids and texts by Hugging Face's own library for tokenizer.json files in the form of well-known families.</summary>
public sealed class HuggingFaceOracleTests
{
    private const int RandomTexts = 60;

    public static TheoryData<string> Families() => [.. TokenizerFamilies.All.Keys];

    [Theory]
    [MemberData(nameof(Families))]
    public void Ids_and_texts_are_those_of_Hugging_Faces_library(string family)
    {
        using var tokenizer = new HuggingFaceTokenizer(TokenizerFamilies.All[family]());
        Assert.Empty(SampleTexts.Fixed.Concat(Enumerable.Range(0, RandomTexts).Select(SampleTexts.Random)).Select(tokenizer.Difference).OfType<string>());
    }

    [Fact]
    public void Tokens_added_beside_a_vocabulary_with_gaps_get_the_next_ids_whatever_the_file_says()
    {
        var json = TokenizerFamilies.All["SmolLM2 with missing bytes"]();
        var count = json["model"]!["vocab"]!.AsObject().Count;
        json["added_tokens"]!.AsArray()[0]!["id"] = 9999;
        using var tokenizer = new HuggingFaceTokenizer(json);
        Assert.Equal([count], tokenizer.Encode("<s>"));
        Assert.Equal([count], tokenizer.Ours.Value.Encode("<s>"));
    }
}
