using System.Text.RegularExpressions;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Data;

/// <summary>
/// A tokenizer for tests: a token a character, and, as SentencePiece has it, a space token in front of every text that
/// does not begin with white space. Perhaps also a token for a line feed with the letter behind it, as few tokenizers have.
/// </summary>
internal sealed class CharacterEncoder(int vocabularySize = 65536, string fingerprint = "characters", bool spaceInFront = false, bool joinsLines = false) : ITextEncoder
{
    private int calls;

    public int VocabularySize => vocabularySize;

    public string Fingerprint => fingerprint;

    /// <summary>Texts encoded so far.</summary>
    public int Calls => calls;

    /// <summary>Done before each text.</summary>
    public Action<string>? Before { get; init; }

    public IReadOnlyList<int> Encode(string text)
    {
        Interlocked.Increment(ref calls);
        Before?.Invoke(text);
        text = joinsLines ? Regex.Replace(text, @"\n[\p{L}\p{N}]", "\uE000") : text;
        int[] ids = [.. text.Select(letter => (int)letter)];
        return spaceInFront && text.Length > 0 ? [' ', .. ids] : ids;
    }
}
