namespace CutoffLen.Tokenization;

/// <summary>
/// Decodes ids one by one, as DecodeStream of Hugging Face's tokenizers does: what an id adds is seen in the text of the last
/// ids with and without it. A character whose bytes are spread over tokens comes with the last of them.
/// </summary>
public sealed class StreamingText
{
    private readonly Func<IReadOnlyList<int>, string> decode;
    private readonly List<int> ids;
    private string told;
    private int toldIds;

    internal StreamingText(Func<IReadOnlyList<int>, string> decode, IEnumerable<int> after)
    {
        this.decode = decode;
        ids = [.. after];
        (told, toldIds) = (decode(ids), ids.Count);
    }

    /// <summary>The text that this id completes; often a word, sometimes nothing yet.</summary>
    public string Push(int id)
    {
        ids.Add(id);
        var text = decode(ids);
        if (text.Length <= told.Length || text.EndsWith('\uFFFD'))
        {
            return "";
        }

        // The ids told now decide how those that follow are decoded, for example whether a leading space is kept.
        var news = text[told.Length..];
        ids.RemoveRange(0, toldIds);
        (told, toldIds) = (decode(ids), ids.Count);
        return news;
    }

    /// <summary>What is left at the end: U+FFFD when the last character was never completed.</summary>
    public string Flush() => decode(ids) is var text && text.Length > told.Length ? text[told.Length..] : "";
}
