using System.Text;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>
/// GPT-2's byte alphabet, in which byte-level vocabularies are stored. Printable Latin-1 stands for itself; the other 68
/// bytes are U+0100 onwards, in order.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Letters = [.. Build()];

    private static readonly Dictionary<char, byte> Bytes = Letters.Index().ToDictionary(letter => letter.Item, letter => (byte)letter.Index);

    /// <summary>The letters of bytes 0 to 255.</summary>
    public static IReadOnlyList<char> Characters => Letters;

    /// <summary>The UTF-8 bytes of a text, a letter each.</summary>
    public static string Encode(string text)
    {
        const int few = 256;
        var length = Encoding.UTF8.GetByteCount(text);
        Span<byte> bytes = length <= few ? stackalloc byte[few] : new byte[length];
        Span<char> letters = length <= few ? stackalloc char[few] : new char[length];
        Encoding.UTF8.GetBytes(text, bytes);
        for (var i = 0; i < length; i++)
        {
            letters[i] = Letters[bytes[i]];
        }

        return new string(letters[..length]);
    }

    /// <summary>The bytes that a token stands for; those of its UTF-8 when it has a character outside the alphabet.</summary>
    public static byte[] Decode(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < token.Length; i++)
        {
            if (!Bytes.TryGetValue(token[i], out bytes[i]))
            {
                return Encoding.UTF8.GetBytes(token);
            }
        }

        return bytes;
    }

    private static IEnumerable<char> Build()
    {
        var next = (char)0x100;
        for (var value = 0; value < 256; value++)
        {
            var printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            yield return printable ? (char)value : next++;
        }
    }
}
