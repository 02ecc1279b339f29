using System.Text;
using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Tokenization;

namespace CutoffLen.Evaluation.Scoring;

/// <summary>The documents of a measurement, tokenized.</summary>
/// <param name="Sources">Paths as given.</param>
/// <param name="Texts">Documents with text in them, in reading order.</param>
/// <param name="Empty">Documents without, left out.</param>
public sealed record EvaluationTexts(IReadOnlyList<string> Sources, IReadOnlyList<EvaluationText> Texts, int Empty)
{
    /// <summary>Reads files, folders and globs and tokenizes them, each document with the special tokens that the tokenizer gives a text.</summary>
    /// <param name="paths">What the user gave.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="most">Only the first so many documents; null for all.</param>
    /// <param name="concatenate">
    /// Whether all documents become one text: their tokens one after another, each with what the tokenizer puts around it.
    /// </param>
    /// <param name="cancel">Stops it.</param>
    /// <exception cref="UserException">Data that cannot be read, or without any text.</exception>
    public static EvaluationTexts Read(
        IReadOnlyList<string> paths, CheckpointTokenizer tokenizer, int? most = null, bool concatenate = false, CancellationToken cancel = default)
    {
        var files = DataFiles.Find(paths);
        var (documents, empty) = Collect(files, most);
        if (documents.Count == 0)
        {
            throw new UserException($"{string.Join(", ", paths)}: no document has any text in it");
        }

        var texts = new EvaluationText[documents.Count];
        Parallel.For(0, texts.Length, new ParallelOptions { CancellationToken = cancel }, i =>
            texts[i] = EvaluationText.Of(documents[i].Name, documents[i].Text, tokenizer.Encode(documents[i].Text)));
        return new EvaluationTexts(paths, concatenate ? [Concatenated(texts)] : texts, empty);
    }

    private static EvaluationText Concatenated(EvaluationText[] texts) => new(
        $"{texts.Length} documents", [.. texts.SelectMany(text => text.Tokens)], texts.Sum(text => text.Words), texts.Sum(text => text.Bytes));

    private static (List<(string Name, string Text)> Documents, int Empty) Collect(IReadOnlyList<DataFile> files, int? most)
    {
        var documents = new List<(string Name, string Text)>();
        var empty = 0;
        var open = new StringBuilder();
        foreach (var piece in Documents.Read(files))
        {
            open.Append(piece.Text);
            if (!piece.Ends)
            {
                continue;
            }

            var text = open.ToString();
            open.Clear();
            if (string.IsNullOrWhiteSpace(text))
            {
                empty++;
                continue;
            }

            var file = files[piece.File];
            documents.Add((file.Format == DataFormat.JsonLines ? $"{file.Path}:{piece.Line}" : file.Path, text));
            if (documents.Count == most)
            {
                break;
            }
        }

        return (documents, empty);
    }
}
