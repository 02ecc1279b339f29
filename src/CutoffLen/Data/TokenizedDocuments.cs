using CutoffLen.Common;
using CutoffLen.Tokenization;

namespace CutoffLen.Data;

/// <summary>
/// The documents of a token cache with the tokens that the tokenizer puts around each (BOS, EOS): what a model is
/// trained and measured on.
/// </summary>
/// <param name="cache">The tokens of the text.</param>
/// <param name="special">What the tokenizer puts around every document.</param>
/// <param name="completionOnlyLoss">Whether prompts are read and not learned.</param>
public sealed class TokenizedDocuments(TokenCache cache, SpecialTokens special, bool completionOnlyLoss = true) : IDisposable
{
    private readonly int[] before = [.. special.Before];
    private readonly int[] after = [.. special.After];

    /// <summary>Finds the user's files, and their tokens in the cache or makes them now.</summary>
    /// <param name="paths">Files, folders and globs.</param>
    /// <param name="encoder">The tokenizer.</param>
    /// <param name="special">What the tokenizer puts around every document.</param>
    /// <param name="cacheFolder">Folder of the token caches; null for the user's.</param>
    /// <param name="textField">The field of .jsonl lines and the column of .parquet files with the text.</param>
    /// <param name="say">Told in a sentence what is waited for or mended.</param>
    /// <param name="progress">Told how far tokenizing is.</param>
    /// <param name="most">Only the first so many documents with text; null for all.</param>
    /// <param name="completionOnlyLoss">Whether the prompts of records are read and not learned.</param>
    /// <param name="stop">Stops the work.</param>
    /// <exception cref="UserException">What is wrong with the paths, the files or the folder.</exception>
    public static TokenizedDocuments Open(
        IEnumerable<string> paths, ITextEncoder encoder, SpecialTokens special, string? cacheFolder = null,
        string textField = DataFile.StandardTextField, Action<string>? say = null, IProgress<TokenizingProgress>? progress = null, int? most = null,
        bool completionOnlyLoss = true, CancellationToken stop = default) => new(
            new TokenCacheFolder(cacheFolder ?? TokenCacheFolder.DefaultPath).Open(
                DataFiles.Find(paths, textField), encoder, say, progress, most, special.Eos is { } eos && special.After.Contains(eos) ? null : special.Eos, stop),
            special, completionOnlyLoss);

    /// <summary>Number of documents, those without text not counted.</summary>
    public int Count => cache.Documents;

    /// <summary>Documents without text, left out.</summary>
    public long EmptyDocuments => cache.EmptyDocuments;

    /// <summary>Tokens of all documents, special tokens included.</summary>
    public long Tokens => Start(Count - 1) + Length(Count - 1);

    /// <summary>Special tokens around all documents together; the EOS that ends a completion is counted as the completion's.</summary>
    public long SpecialTokens => (long)Count * (before.Length + after.Length);

    /// <summary>Tokens of a document, special tokens included; at least 1.</summary>
    public long Length(int document) => before.Length + cache.Length(document) + after.Length;

    /// <summary>
    /// Tokens at the start of a document that are read and not learned: the prompt with the special tokens before it. 0 where all
    /// are learned.
    /// </summary>
    public long Prompt(int document) => completionOnlyLoss && cache.Prompt(document) is > 0 and var prompt ? before.Length + prompt : 0;

    /// <summary>
    /// Tokens of a document that rows of <paramref name="cutoff"/> tokens hold where documents stand apart. A text is split over
    /// rows. A record is not, for its completion means nothing without the prompt: it ends at the cutoff, and one whose prompt
    /// leaves nothing to learn is left out.
    /// </summary>
    internal long Kept(int document, int cutoff) => Prompt(document) switch
    {
        0 => Length(document),
        var prompt => prompt > cutoff ? 0 : Math.Min(Length(document), cutoff),
    };

    /// <summary>Index of a document's first token when all documents stand one after the other.</summary>
    public long Start(int document) => cache.Start(document) + ((long)document * (before.Length + after.Length));

    /// <summary>The document that the token at an index of the whole stream belongs to.</summary>
    public int At(long index)
    {
        var (low, high) = (0, Count - 1);
        while (low < high)
        {
            var middle = low + ((high - low + 1) / 2);
            (low, high) = Start(middle) <= index ? (middle, high) : (low, middle - 1);
        }

        return low;
    }

    /// <summary>Copies tokens of a document, from <paramref name="offset"/> on, as many as fit the span.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The document has fewer.</exception>
    public void Read(int document, long offset, Span<int> tokens)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(offset);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(offset + tokens.Length, Length(document), nameof(tokens));
        var text = cache.Length(document);
        var done = 0;
        if (offset < before.Length)
        {
            done = (int)Math.Min(before.Length - offset, tokens.Length);
            before.AsSpan((int)offset, done).CopyTo(tokens);
        }

        var at = offset + done - before.Length; // in the text
        if (at < text && done < tokens.Length)
        {
            var count = (int)Math.Min(text - at, tokens.Length - done);
            cache.Read(document, at, tokens.Slice(done, count));
            done += count;
            at += count;
        }

        if (done < tokens.Length)
        {
            after.AsSpan((int)(at - text), tokens.Length - done).CopyTo(tokens[done..]);
        }
    }

    /// <summary>The whole document.</summary>
    public int[] Read(int document)
    {
        var tokens = new int[Length(document)];
        Read(document, 0, tokens);
        return tokens;
    }

    /// <summary>Where a document came from: the file, and the line or row.</summary>
    public string Describe(int document) => cache.Describe(document);

    /// <summary>The file, and the line or row, from 1, where a document begins.</summary>
    public (DataFile File, int Line) Source(int document) => cache.Source(document);

    /// <summary>Words of a document (of a record, its completion), special tokens not counted.</summary>
    public long Words(int document) => cache.Words(document);

    /// <summary>UTF-8 bytes of a document's text; of a record, its completion.</summary>
    public long Bytes(int document) => cache.Bytes(document);

    /// <summary>Closes the cache.</summary>
    public void Dispose() => cache.Dispose();
}
