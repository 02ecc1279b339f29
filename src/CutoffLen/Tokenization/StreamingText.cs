using System.Text;

namespace CutoffLen.Tokenization;

/// <summary>Decodes ids one by one. A character whose bytes are spread over tokens comes with the last of them.</summary>
public sealed class StreamingText
{
    private readonly Func<int, byte[]> bytesOf;
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private LeadingSpace strip;

    internal StreamingText(Func<int, byte[]> bytesOf, LeadingSpace strip)
    {
        this.bytesOf = bytesOf;
        this.strip = strip;
    }

    /// <summary>The text that this id completes; often a word, sometimes nothing yet.</summary>
    public string Push(int id) => Decode(bytesOf(id), flush: false);

    /// <summary>What is left at the end: U+FFFD when the last character was never completed.</summary>
    public string Flush() => Decode([], flush: true);

    private string Decode(byte[] bytes, bool flush)
    {
        var characters = new char[decoder.GetCharCount(bytes, flush)];
        var text = new string(characters, 0, decoder.GetChars(bytes, characters, flush));
        if (text.Length == 0 || strip == LeadingSpace.Kept)
        {
            return text;
        }

        var begun = strip == LeadingSpace.All ? text.TrimStart(' ') : text.StartsWith(' ') ? text[1..] : text;
        strip = strip == LeadingSpace.All && begun.Length == 0 ? LeadingSpace.All : LeadingSpace.Kept;
        return begun;
    }
}
