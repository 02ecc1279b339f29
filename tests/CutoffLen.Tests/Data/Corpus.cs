using CutoffLen.Data;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Data;

/// <summary>Documents of given lengths, with tokens that tell document and offset apart, through a real cache file.</summary>
internal sealed class Corpus : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public Corpus(IReadOnlyList<int> lengths, SpecialTokens? special = null)
    {
        Texts = [.. lengths.Select((length, d) => string.Concat(Enumerable.Range(0, length).Select(t => Letter(d, t))))];
        folder.Write("data.jsonl", string.Join('\n', Texts.Select(text => System.Text.Json.JsonSerializer.Serialize(new { text }))));
        Documents = TokenizedDocuments.Open([folder["data.jsonl"]], new CharacterEncoder(), special ?? SpecialTokens.None, folder["cache"]);
    }

    public TokenizedDocuments Documents { get; }

    public string[] Texts { get; }

    /// <summary>The token that stands at an offset of a document's text: 20 documents by 2,000 offsets stay distinct.</summary>
    public static char Letter(int document, int offset) => (char)(0x100 + (document % 20 * 2_000) + (offset % 2_000));

    public void Dispose()
    {
        Documents.Dispose();
        folder.Dispose();
    }
}
