using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Evaluation;

/// <summary>A generated summary and its scores.</summary>
/// <param name="Source">File and line of the document.</param>
/// <param name="Reference">The reference summary.</param>
/// <param name="Summary">The generated one.</param>
/// <param name="PromptTokens">Tokens that the model read.</param>
/// <param name="Tokens">Tokens that it generated.</param>
/// <param name="Rouge">ROUGE with stemming.</param>
public sealed record ScoredSummary(string Source, string Reference, string Summary, int PromptTokens, int Tokens, Rouge Rouge);

/// <summary>Mean F1 over documents.</summary>
/// <param name="Name">rouge1, rouge2, rougeL or rougeLsum.</param>
/// <param name="F1">0 to 1; papers print a hundred times it.</param>
/// <param name="Interval">95% interval by bootstrap over documents; null for a single document.</param>
public sealed record RougeMean(string Name, double F1, Interval? Interval);

/// <summary>The summaries of a model.</summary>
/// <param name="Summaries">Document by document.</param>
public sealed record SummarizationResult(IReadOnlyList<ScoredSummary> Summaries)
{
    /// <summary>ROUGE-1, -2, -L and -Lsum.</summary>
    public IReadOnlyList<RougeMean> Means { get; } =
    [
        .. Rouge.Names.Select((name, n) =>
        {
            Ratio[] units = [.. Summaries.Select(summary => new Ratio(summary.Rouge.F1[n], 1))];
            return new RougeMean(name, Ratio.Of(units), new Bootstrap(units.Length).OfRatio(units));
        }),
    ];
}
