namespace CutoffLen.Tokenization;

/// <summary>What the token cache needs of a tokenizer. Calls come from several threads at once.</summary>
public interface ITextEncoder
{
    /// <summary>V; every id is below it.</summary>
    int VocabularySize { get; }

    /// <summary>
    /// A hash over everything that decides which ids a text gets: the tokenizer's files and the version of the code
    /// that reads them. Two tokenizers with one fingerprint share cached tokens.
    /// </summary>
    string Fingerprint { get; }

    /// <summary>The ids of a text, without begin or end tokens.</summary>
    IReadOnlyList<int> Encode(string text);
}

/// <summary>The tokens that a tokenizer puts around every document.</summary>
/// <param name="Before">In front of the document, usually BOS; empty where the tokenizer prescribes none.</param>
/// <param name="After">Behind the document, usually EOS; empty where the tokenizer prescribes none.</param>
public sealed record DocumentMarkers(IReadOnlyList<int> Before, IReadOnlyList<int> After)
{
    /// <summary>No markers.</summary>
    public static DocumentMarkers None { get; } = new([], []);

    /// <summary>What a tokenizer adds, found by encoding a word with and without special tokens.</summary>
    /// <param name="plain">The ids of a text without special tokens.</param>
    /// <param name="withSpecial">The ids of the same text with them.</param>
    public static DocumentMarkers Of(IReadOnlyList<int> plain, IReadOnlyList<int> withSpecial)
    {
        for (var before = 0; before + plain.Count <= withSpecial.Count; before++)
        {
            if (withSpecial.Skip(before).Take(plain.Count).SequenceEqual(plain))
            {
                return new([.. withSpecial.Take(before)], [.. withSpecial.Skip(before + plain.Count)]);
            }
        }

        throw new ArgumentException("the ids with special tokens do not contain the ids without");
    }
}
