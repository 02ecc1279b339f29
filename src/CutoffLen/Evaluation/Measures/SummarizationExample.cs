using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Tokenization;

namespace CutoffLen.Evaluation.Measures;

/// <summary>The fields of a record that hold a document and its summary, and how much of the document is read.</summary>
/// <param name="Document">Field of the document.</param>
/// <param name="Summary">Field of the summary.</param>
/// <param name="DocumentTokens">Tokens of a document that are read, the first ones; 15,000 in the paper, for a window of 16,384.</param>
public sealed record SummarizationFields(string Document = "document", string Summary = "summary", int DocumentTokens = 15_000);

/// <summary>A document in the prompt that asks for its summary.</summary>
/// <param name="Source">File and line.</param>
/// <param name="Prompt">The prompt.</param>
/// <param name="Summary">The reference summary.</param>
/// <param name="IsCut">Whether the document is longer than what the prompt has of it.</param>
public sealed record SummarizationExample(string Source, string Prompt, string Summary, bool IsCut)
{
    /// <summary>What follows the prompt in training.</summary>
    public string Completion => " " + Summary;

    /// <summary>
    /// Reads documents and summaries and puts the documents into the prompt of Position Interpolation (arXiv 2306.15595, section
    /// 3.5). A document is cut by its tokens and becomes text again, without a letter that the cut went through.
    /// </summary>
    /// <param name="paths">.jsonl files, also compressed, folders and globs.</param>
    /// <param name="fields">Where document and summary stand.</param>
    /// <param name="tokenizer">Counts the document's tokens.</param>
    /// <exception cref="UserException">While enumerating: a file that cannot be read, or a line without the fields.</exception>
    public static IEnumerable<SummarizationExample> Read(IReadOnlyList<string> paths, SummarizationFields fields, CheckpointTokenizer tokenizer)
    {
        foreach (var (source, values) in Documents.ReadFields(DataFiles.Find(paths), [fields.Document, fields.Summary]))
        {
            var tokens = tokenizer.Encode(values[0], addSpecial: false);
            var isCut = tokens.Length > fields.DocumentTokens;
            var document = isCut ? tokenizer.Decode(tokens[..fields.DocumentTokens]).TrimEnd('\uFFFD') : values[0];
            yield return new SummarizationExample(
                source, $"Read the following article and then summarize it.\n{document}\nNow summarize the above article.\nSummary:", values[1].Trim(), isCut);
        }
    }
}
