using CutoffLen.Data;

namespace CutoffLen.Tests.Data;

/// <summary>Documents of given lengths, with tokens that tell document and offset apart, through a real cache file.</summary>
internal sealed class Corpus : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly TokenCache cache;

    public Corpus(IReadOnlyList<int> lengths, DocumentMarkers? markers = null)
    {
        Texts = [.. lengths.Select((length, d) => string.Concat(Enumerable.Range(0, length).Select(t => Letter(d, t))))];
        folder.Write("data.jsonl", string.Join('\n', Texts.Select(text => System.Text.Json.JsonSerializer.Serialize(new { text }))));
        cache = new TokenCacheFolder(folder["cache"]).Open(DataFiles.Find([folder["data.jsonl"]]), new CharacterEncoder());
        Documents = new TokenizedDocuments(cache, markers ?? DocumentMarkers.None);
    }

    public TokenizedDocuments Documents { get; }

    public string[] Texts { get; }

    /// <summary>The token that stands at an offset of a document's text: 20 documents by 2,000 offsets stay distinct.</summary>
    public static char Letter(int document, int offset) => (char)(0x100 + (document % 20 * 2_000) + (offset % 2_000));

    public void Dispose()
    {
        cache.Dispose();
        folder.Dispose();
    }
}
