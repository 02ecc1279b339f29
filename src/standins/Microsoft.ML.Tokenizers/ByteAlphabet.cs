using System.Text;

namespace Microsoft.ML.Tokenizers;

/// <summary>
/// GPT-2's way to write any byte as one printable character: printable Latin-1 stands for itself, the other bytes are
/// numbered from U+0100 on.
/// </summary>
internal static class ByteAlphabet
{
    private static readonly char[] Characters = MakeCharacters();
    private static readonly Dictionary<char, byte> Bytes =
        Characters.Select((character, value) => (character, value)).ToDictionary(pair => pair.character, pair => (byte)pair.value);

    /// <summary>At most so many bytes come of one UTF-16 unit.</summary>
    public const int MostPerUnit = 3;

    /// <summary>Writes the UTF-8 bytes of a text as characters and says how many there are.</summary>
    public static int Encode(ReadOnlySpan<char> text, Span<char> characters)
    {
        var count = 0;
        Span<byte> utf8 = stackalloc byte[4];
        for (int i = 0, length; i < text.Length; i += length)
        {
            length = 1;
            if (char.IsAscii(text[i]))
            {
                characters[count++] = Characters[text[i]];
                continue;
            }
            length = CharacterLength(text[i..]);
            foreach (var value in utf8[..Utf8(text.Slice(i, length), utf8)])
                characters[count++] = Characters[value];
        }
        return count;
    }

    /// <summary>For each byte of a text's UTF-8, the place in the text that it comes from.</summary>
    public static int[] Origins(ReadOnlySpan<char> text)
    {
        var origins = new List<int>(text.Length);
        Span<byte> utf8 = stackalloc byte[4];
        for (int i = 0, length; i < text.Length; i += length)
        {
            length = CharacterLength(text[i..]);
            origins.AddRange(Enumerable.Repeat(i, Utf8(text.Slice(i, length), utf8)));
        }
        return [.. origins];
    }

    /// <summary>Appends the bytes that characters stand for; those outside the alphabet stand for their own UTF-8.</summary>
    public static void Decode(ReadOnlySpan<char> text, List<byte> bytes)
    {
        Span<byte> utf8 = stackalloc byte[4];
        for (int i = 0, length; i < text.Length; i += length)
        {
            length = CharacterLength(text[i..]);
            if (Bytes.TryGetValue(text[i], out var value))
                bytes.Add(value);
            else
                bytes.AddRange(utf8[..Utf8(text.Slice(i, length), utf8)]);
        }
    }

    private static int CharacterLength(ReadOnlySpan<char> text) =>
        text.Length > 1 && char.IsSurrogatePair(text[0], text[1]) ? 2 : 1;

    // As the package does it, a surrogate without its partner is written like any other character of three bytes.
    private static int Utf8(ReadOnlySpan<char> character, Span<byte> utf8)
    {
        if (character.Length == 2 || !char.IsSurrogate(character[0]))
            return Encoding.UTF8.GetBytes(character, utf8);
        utf8[0] = (byte)(0xE0 | character[0] >> 12);
        utf8[1] = (byte)(0x80 | (character[0] >> 6 & 0x3F));
        utf8[2] = (byte)(0x80 | (character[0] & 0x3F));
        return 3;
    }

    private static char[] MakeCharacters()
    {
        var others = 0;
        return [.. Enumerable.Range(0, 256).Select(value =>
            value is (>= '!' and <= '~') or (>= 0xA1 and <= 0xAC) or (>= 0xAE and <= 0xFF) ? (char)value : (char)(256 + others++))];
    }
}
