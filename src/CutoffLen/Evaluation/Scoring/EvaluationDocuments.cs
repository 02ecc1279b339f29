using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Tokenization;

namespace CutoffLen.Evaluation.Scoring;

/// <summary>The documents of a measurement, tokenized.</summary>
/// <param name="Sources">Paths as given.</param>
/// <param name="Documents">Documents with text in them, in reading order.</param>
/// <param name="Empty">Documents without, left out.</param>
public sealed record EvaluationDocuments(IReadOnlyList<string> Sources, IReadOnlyList<EvaluationDocument> Documents, long Empty)
{
    /// <summary>Reads files, folders and globs through the token cache, each document with the tokenizer's special tokens around it.</summary>
    /// <param name="paths">What the user gave.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="most">Only the first so many documents; null for all.</param>
    /// <param name="concatenate">Whether all documents become one text, each with its special tokens.</param>
    /// <param name="cacheFolder">Folder of the token caches; null for the user's.</param>
    /// <param name="textField">The field or column with the text.</param>
    /// <param name="say">Told in a sentence what is waited for or mended.</param>
    /// <param name="completionOnlyLoss">Whether of records of prompt and completion the completion alone is scored.</param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UserException">Data that cannot be read, or without any text.</exception>
    public static EvaluationDocuments Read(
        IReadOnlyList<string> paths, CheckpointTokenizer tokenizer, int? most = null, bool concatenate = false, string? cacheFolder = null,
        string textField = DataFile.StandardTextField, Action<string>? say = null, bool completionOnlyLoss = true, CancellationToken cancel = default)
    {
        using var documents = TokenizedDocuments.Open(
            paths, tokenizer, tokenizer.SpecialTokens, cacheFolder, textField, say, most: most, completionOnlyLoss: completionOnlyLoss, stop: cancel);
        EvaluationDocument[] texts = [.. Enumerable.Range(0, documents.Count).Select(d => Read(documents, d))];
        return new EvaluationDocuments(paths, concatenate ? [Concatenated(texts)] : texts, documents.EmptyDocuments);
    }

    private static EvaluationDocument Read(TokenizedDocuments documents, int document)
    {
        var (file, line) = documents.Source(document);
        var name = file.Format == DataFormat.Text ? file.Path : $"{file.Path}:{line}";
        return new EvaluationDocument(name, documents.Read(document), documents.Words(document), documents.Bytes(document), (int)documents.Prompt(document));
    }

    /// <summary>The first documents of at least so many tokens.</summary>
    /// <exception cref="UserException">There are none.</exception>
    public IReadOnlyList<EvaluationDocument> LongEnough(int tokens, int most)
    {
        var documents = Documents.Where(document => document.Tokens.Length >= tokens).Take(most).ToList();
        return documents.Count > 0
            ? documents
            : throw new UserException($"no text has {tokens} tokens; the longest of {Documents.Count} has {Documents.Max(document => document.Tokens.Length)}");
    }

    private static EvaluationDocument Concatenated(EvaluationDocument[] texts) => texts.FirstOrDefault(text => text.Prompt > 0) is { } record
        ? throw new UserException($"{record.Name}: a record of prompt and completion; only texts can be joined to one")
        : new($"{texts.Length} documents", [.. texts.SelectMany(text => text.Tokens)], texts.Sum(text => text.Words), texts.Sum(text => text.Bytes));
}
