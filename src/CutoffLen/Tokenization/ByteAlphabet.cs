using System.Text;
using System.Text.Unicode;

namespace CutoffLen.Tokenization;

/// <summary>
/// GPT-2's byte alphabet, in which byte-level vocabularies are stored. Printable Latin-1 stands for itself; the other 68
/// bytes are U+0100 onwards, in order.
/// </summary>
internal static class ByteAlphabet
{
    private const char Space = '\u0120';

    private static readonly Dictionary<char, byte> Bytes = Build();

    /// <summary>The bytes that a token stands for, or null when it has a character outside the alphabet.</summary>
    public static byte[]? Decode(string token)
    {
        var bytes = new byte[token.Length];
        for (var i = 0; i < token.Length; i++)
        {
            if (!Bytes.TryGetValue(token[i], out bytes[i]))
            {
                return null;
            }
        }

        return bytes;
    }

    /// <summary>The text that a token stands for, or null when its bytes are no UTF-8 by themselves.</summary>
    public static string? Text(string token)
    {
        // Most tokens are plain ASCII, perhaps after a space.
        var word = token[0] == Space ? token.AsSpan(1) : token;
        if (!word.ContainsAnyExceptInRange('!', '~'))
        {
            return word.Length == token.Length ? token : string.Concat(" ", word);
        }

        return Decode(token) is { } bytes && Utf8.IsValid(bytes) ? Encoding.UTF8.GetString(bytes) : null;
    }

    /// <summary>The characters that bytes are written as.</summary>
    public static IReadOnlyCollection<char> Characters => Bytes.Keys;

    private static Dictionary<char, byte> Build()
    {
        var bytes = new Dictionary<char, byte>();
        var next = (char)0x100;
        for (var value = 0; value < 256; value++)
        {
            var printable = value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF);
            bytes.Add(printable ? (char)value : next++, (byte)value);
        }

        return bytes;
    }
}
