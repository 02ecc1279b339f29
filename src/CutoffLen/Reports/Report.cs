using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Tokenization;

namespace CutoffLen.Reports;

/// <summary>
/// A report: what was run, on what, and the results. Perplexity, a sweep, passkey retrieval, summaries and RULER are sections of it. Console
/// tables, CSV, JSON and the HTML page are views of this record.
/// </summary>
/// <param name="Made">When.</param>
/// <param name="Program">Name and version of this program.</param>
/// <param name="Dtype">Dtype of the models; scores are float32 in any.</param>
/// <param name="Settings">Command, device, seeds, batches, ...</param>
/// <param name="Methods">Models under position methods with their results. The first is the baseline.</param>
public sealed record Report(
    DateTimeOffset Made, string Program, string Dtype, IReadOnlyList<Setting> Settings, IReadOnlyList<MeasuredMethod> Methods)
{
    /// <summary>How perplexity was measured; null where it was not.</summary>
    public PerplexitySection? Perplexity { get; init; }

    /// <summary>The sweep whose cells the methods are; null where they are of no sweep.</summary>
    public SweepSection? Sweep { get; init; }

    /// <summary>The published table that the sweep repeats; null where it repeats none.</summary>
    public PublishedSection? Published { get; init; }

    /// <summary>Whether it is of summaries.</summary>
    internal bool IsOfSummaries => Methods.Any(measured => measured.Summarization is not null);

    /// <summary>Whether it reports RULER's scores.</summary>
    internal bool IsRuler => Methods is [{ Ruler: not null }, ..];

    /// <summary>The label of a result.</summary>
    public string LabelOf(MeasuredMethod measured) => measured is SweepCell cell ? cell.Label : LabelOf(measured.Model, measured.Method);

    /// <summary>The label of a result: the method alone where there is one model, the model alone where there is one method.</summary>
    public string LabelOf(string model, string method)
    {
        if (Methods.All(m => m.Model == Methods[0].Model))
        {
            return method;
        }

        return Methods.All(m => m.Method == Methods[0].Method) ? model : $"{model} · {method}";
    }
}

/// <summary>A line of a report's settings.</summary>
/// <param name="Name">Name of the setting.</param>
/// <param name="Value">Its value.</param>
public sealed record Setting(string Name, string Value);

/// <summary>How perplexity was measured, and paired comparisons.</summary>
/// <param name="Protocols">The protocols used.</param>
/// <param name="Lengths">Context lengths in tokens.</param>
/// <param name="Corpus">The documents.</param>
/// <param name="Comparisons">Paired differences from the first method.</param>
/// <param name="Notes">Documents left out, few documents, ...</param>
public sealed record PerplexitySection(
    IReadOnlyList<ProtocolNote> Protocols, IReadOnlyList<int> Lengths, Corpus Corpus, IReadOnlyList<MethodComparison> Comparisons, IReadOnlyList<string> Notes)
{
    /// <summary>Notes for the reader about the documents and the certainty of the numbers.</summary>
    public static IEnumerable<string> NotesOn(IReadOnlyList<MeasuredMethod> methods, EvaluationDocuments documents)
    {
        if (documents.Empty > 0)
        {
            yield return $"{documents.Empty} empty {(documents.Empty == 1 ? "document was" : "documents were")} left out.";
        }

        foreach (var result in methods[0].Protocols[0].Lengths.Where(l => l.DocumentsLeftOut > 0))
        {
            yield return result.Documents == 0
                ? $"No text has {Numbers.Count(result.Length)} tokens: that length is empty."
                : $"{result.DocumentsLeftOut} of {result.Documents + result.DocumentsLeftOut} texts are shorter than {Numbers.Count(result.Length)} tokens and are left out of that length.";
        }

        if (methods.Any(m => m.Protocols.Any(p => p.Unit == "windows") || m.Curve?.Unit == "stretches"))
        {
            yield return "Where one text reaches a length, its windows (for the curve: stretches of a window's length) are what the bootstrap draws: the intervals say how much stretches of this text differ, not how much texts do.";
        }
    }
}

/// <summary>A protocol as the report explains it.</summary>
/// <param name="Name">The name that numbers carry.</param>
/// <param name="Definition">One line.</param>
/// <param name="DocumentStart">How BOS was handled.</param>
public sealed record ProtocolNote(string Name, string Definition, string DocumentStart)
{
    /// <summary>A protocol with its treatment of BOS under a vocabulary's special tokens.</summary>
    public static ProtocolNote Of(PerplexityProtocol protocol, SpecialTokens special) => new(protocol.Name, protocol.Definition, (protocol, special) switch
    {
        (LlamaCppHalf, { AddsBos: true }) => "BOS stands in place of the first token of every window, as the tokenizer adds BOS.",
        (_, { AddsBos: true }) => "Texts begin with BOS, as the tokenizer has it; windows within a text do not.",
        ({ DocumentStart: Evaluation.Scoring.DocumentStart.Bos or Evaluation.Scoring.DocumentStart.BosOrEos }, { Bos: not null }) => "BOS is put before each text; the tokenizer itself adds none.",
        ({ DocumentStart: Evaluation.Scoring.DocumentStart.BosOrEos }, { Eos: not null }) => "EOS is put before each text, as the vocabulary has no BOS.",
        _ => "Nothing is put before the texts: the tokenizer adds no BOS.",
    });
}

/// <summary>The documents of a report.</summary>
/// <param name="Sources">Paths as given.</param>
/// <param name="Documents">Number of documents.</param>
/// <param name="Tokens">Tokens of all of them.</param>
/// <param name="Bytes">UTF-8 bytes of all of them.</param>
/// <param name="LongestTokens">Tokens of the longest.</param>
public sealed record Corpus(IReadOnlyList<string> Sources, int Documents, long Tokens, long Bytes, int LongestTokens)
{
    /// <summary>Counts documents.</summary>
    public static Corpus Of(EvaluationDocuments read) => new(
        read.Sources, read.Documents.Count, read.Documents.Sum(d => (long)d.Tokens.Length), read.Documents.Sum(d => d.Bytes), read.Documents.Max(d => d.Tokens.Length));
}

/// <summary>Paired differences of a method from the baseline, the first method of the report.</summary>
/// <param name="Model">Name of the checkpoint.</param>
/// <param name="Method">The position spec.</param>
/// <param name="Protocol">Name of the protocol.</param>
/// <param name="Differences">By length.</param>
public sealed record MethodComparison(string Model, string Method, string Protocol, IReadOnlyList<PairedDifference> Differences)
{
    /// <summary>Compares scores with a baseline's, protocol by protocol.</summary>
    public static IEnumerable<MethodComparison> Of(string model, ModelScores scores, ModelScores baseline) =>
        scores.Scores.Plan.Protocols.Select((protocol, p) =>
            new MethodComparison(model, $"{scores.Spec}", protocol.Name, PerplexityStatistics.Differences(scores.Scores, baseline.Scores, p)));
}
