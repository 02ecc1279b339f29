using System.Diagnostics;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Data;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Models;
using CutoffLen.Positions.Methods;

namespace CutoffLen.Runs;

/// <summary>Measures the perplexity of models under position methods, with progress. What a log has is not measured again.</summary>
/// <param name="plan">Protocols and lengths.</param>
/// <param name="documents">The documents.</param>
/// <param name="log">Where finished work is kept.</param>
/// <param name="batchTokens">The most tokens that one batch reads.</param>
/// <param name="display">Shows progress.</param>
/// <param name="stop">Ctrl-C.</param>
/// <param name="ranks">The ranks that share the documents; null for one.</param>
public sealed class PerplexityRun(
    PerplexityPlan plan, IReadOnlyList<EvaluationDocument> documents, ResultLog log, int batchTokens, IRunDisplay display, CancellationToken stop, ICollectives? ranks = null)
{
    private readonly PerplexityEvaluation evaluation = new(plan, documents, log, batchTokens, ranks);

    /// <summary>The perplexity of a model by length; nothing is kept.</summary>
    /// <param name="model">The model.</param>
    /// <param name="data">Files, folders and globs to measure on.</param>
    /// <param name="lengths">Context lengths in tokens, ascending.</param>
    /// <param name="rope">The position method; auto is the checkpoint's own.</param>
    /// <param name="protocol">The protocol's name.</param>
    /// <param name="documents">Only the first so many documents; null for all.</param>
    /// <param name="textField">The field or column with the text.</param>
    /// <param name="display">Shows progress.</param>
    /// <param name="stop">Stops it between batches.</param>
    /// <exception cref="UserException">A name is unknown, data cannot be read, or no document has the shortest length.</exception>
    public static ProtocolResult Measure(
        ModelSession model, IReadOnlyList<string> data, IReadOnlyList<int> lengths, string rope = "auto",
        string protocol = PerplexityProtocols.Default, int? documents = null, string textField = DataFile.StandardTextField, IRunDisplay? display = null,
        CancellationToken stop = default)
    {
        var tokenizer = model.Folder.Tokenizer;
        var plan = new PerplexityPlan([PerplexityProtocols.Parse(protocol)], lengths, tokenizer.SpecialTokens);
        var positioned = model.Under(model.Folder.Config.SetupFor(PositionMethods.Parse(rope), lengths[^1]));
        using var log = new ResultLog();
        var run = new PerplexityRun(
            plan, EvaluationDocuments.Read(data, tokenizer, documents, textField: textField, cancel: stop).Documents, log, PerplexityEvaluation.StandardBatchTokens,
            display ?? RunProgress.None, stop);
        return PerplexityStatistics.Perplexity(run.Measure(model.Folder.Name, model, positioned).Scores, 0);
    }

    /// <summary>The result that the log has, without reading the model's weights; null while it is not whole.</summary>
    public ModelScores? Recall(ModelSession model, PositionSetup positions) => evaluation.Recall(model.Folder, positions, model.Compute);

    /// <summary>Measures a model under a method.</summary>
    /// <param name="name">What to call it on the bar.</param>
    /// <param name="model">The model.</param>
    /// <param name="positioned">The same under the method.</param>
    public ModelScores Measure(string name, ModelSession model, PositionedModel positioned) => display.Show($"{name} {positioned.Spec}", 100, steps =>
        evaluation.Run(positioned, model.Folder.Identity, new Steps(steps), stop));

    /// <summary>Percent of the tokens, with the speed since the first one that was not there already.</summary>
    private sealed class Steps(IProgress<ProgressStep> steps) : IProgress<EvaluationProgress>
    {
        private readonly Stopwatch watch = Stopwatch.StartNew();

        public void Report(EvaluationProgress value)
        {
            var speed = (value.TokensDone - value.TokensReused) / Math.Max(1e-3, watch.Elapsed.TotalSeconds);
            steps.Report(new ProgressStep(100.0 * value.TokensDone / value.TokensTotal, $"{speed:#,0} tokens/s{(value.TokensReused > 0 ? $", {100.0 * value.TokensReused / value.TokensTotal:0}% from an earlier run" : "")}"));
        }
    }
}
