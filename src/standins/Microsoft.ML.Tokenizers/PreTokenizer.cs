using System.Text.RegularExpressions;

namespace Microsoft.ML.Tokenizers;

/// <summary>Cuts a text into words; tokens never reach across their borders.</summary>
public abstract partial class PreTokenizer
{
    /// <summary>For derived classes.</summary>
    protected PreTokenizer()
    {
    }

    /// <summary>The words of a text, in order, in UTF-16 units. What lies in no word is not encoded.</summary>
    public abstract IEnumerable<(int Offset, int Length)> PreTokenize(string text);

    /// <inheritdoc cref="PreTokenize(string)"/>
    public abstract IEnumerable<(int Offset, int Length)> PreTokenize(ReadOnlySpan<char> text);

    /// <summary>Cuts at <c>\w+|[^\w\s]+</c>: runs of letters, digits and underscores, and runs of other characters; white space is lost.</summary>
    public static PreTokenizer CreateWordOrNonWord(IReadOnlyDictionary<string, int>? specialTokens = null) =>
        new RegexPreTokenizer(WordOrNonWord(), specialTokens);

    [GeneratedRegex(@"\w+|[^\w\s]+")]
    private static partial Regex WordOrNonWord();
}
