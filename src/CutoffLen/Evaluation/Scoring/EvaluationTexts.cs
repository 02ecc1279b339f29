using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Tokenization;

namespace CutoffLen.Evaluation.Scoring;

/// <summary>The documents of a measurement, tokenized.</summary>
/// <param name="Sources">Paths as given.</param>
/// <param name="Texts">Documents with text in them, in reading order.</param>
/// <param name="Empty">Documents without, left out.</param>
public sealed record EvaluationTexts(IReadOnlyList<string> Sources, IReadOnlyList<EvaluationText> Texts, long Empty)
{
    /// <summary>Reads files, folders and globs through the token cache, each document with the tokenizer's special tokens around it.</summary>
    /// <param name="paths">What the user gave.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="most">Only the first so many documents; null for all.</param>
    /// <param name="concatenate">Whether all documents become one text, each with its special tokens.</param>
    /// <param name="cacheFolder">Folder of the token caches; null for the user's.</param>
    /// <param name="say">Told in a sentence what is waited for or mended.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UserException">Data that cannot be read, or without any text.</exception>
    public static EvaluationTexts Read(
        IReadOnlyList<string> paths, CheckpointTokenizer tokenizer, int? most = null, bool concatenate = false, string? cacheFolder = null,
        Action<string>? say = null, CancellationToken cancel = default)
    {
        using var documents = TokenizedDocuments.Open(paths, tokenizer, tokenizer.SpecialTokens, cacheFolder, say, most: most, stop: cancel);
        EvaluationText[] texts = [.. Enumerable.Range(0, documents.Count).Select(d => Read(documents, d))];
        return new EvaluationTexts(paths, concatenate ? [Concatenated(texts)] : texts, documents.EmptyDocuments);
    }

    private static EvaluationText Read(TokenizedDocuments documents, int document)
    {
        var (file, line) = documents.Source(document);
        var name = file.Format == DataFormat.JsonLines ? $"{file.Path}:{line}" : file.Path;
        return new EvaluationText(name, documents.Read(document), documents.Words(document), documents.Bytes(document));
    }

    private static EvaluationText Concatenated(EvaluationText[] texts) => new(
        $"{texts.Length} documents", [.. texts.SelectMany(text => text.Tokens)], texts.Sum(text => text.Words), texts.Sum(text => text.Bytes));
}
