using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Data;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Models.Attention;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Tokenization;
using Serilog;

namespace CutoffLen.Runs;

/// <summary>
/// The short perplexity sweep of <c>eval_steps</c>, on the model in training and without a copy of its weights. It draws
/// nothing at random and changes nothing in the model, so it changes no bit of training.
/// </summary>
internal sealed class FinetuneEvaluation
{
    private readonly PerplexityPlan plan;
    private readonly IReadOnlyList<EvaluationDocument> documents;

    private FinetuneEvaluation(PerplexityPlan plan, IReadOnlyList<EvaluationDocument> documents) => (this.plan, this.documents) = (plan, documents);

    /// <summary>Reads the texts and says what will be measured.</summary>
    /// <param name="config">The run's.</param>
    /// <param name="tokenizer">The model's.</param>
    /// <param name="positions">The position method of the run.</param>
    /// <param name="stop">Stops tokenizing.</param>
    /// <returns>null without eval_steps.</returns>
    /// <exception cref="UserException">No texts, texts that cannot be read, or none that is long enough.</exception>
    public static FinetuneEvaluation? Open(RunConfig config, CheckpointTokenizer tokenizer, PositionSetup positions, CancellationToken stop)
    {
        var evaluation = config.Evaluation;
        if (evaluation.EvalSteps == 0)
        {
            return null;
        }

        if (evaluation.EvalData.Count == 0)
        {
            throw new UserException($"eval_steps: {evaluation.EvalSteps} needs eval_data, files to measure on; keep some apart from data, for text that is trained on says little");
        }

        var (native, target) = (positions.Model.NativeLength, positions.TargetLength);
        var lengths = evaluation.EvalLengths.Count > 0 ? evaluation.EvalLengths : [.. new SortedSet<int> { native, target, 2 * target }];
        var protocol = PerplexityProtocols.Parse(evaluation.EvalProtocol);
        var documents = EvaluationDocuments.Read(
            evaluation.EvalData, tokenizer, evaluation.MaxEvalDocuments, cacheFolder: config.Data.CacheDir, textField: config.Data.DatasetTextField,
            completionOnlyLoss: config.Data.CompletionOnlyLoss, cancel: stop).Documents;
        var longest = documents.Max(document => document.Tokens.Length);
        if (longest < lengths[0])
        {
            throw new UserException($"eval_data: the longest of {documents.Count} documents has {longest} tokens, and the shortest of eval_lengths is {lengths[0]}");
        }

        Warn(config, lengths, longest);
        return new FinetuneEvaluation(new PerplexityPlan([protocol], lengths, tokenizer.SpecialTokens), documents);
    }

    /// <summary>Measures the model as it is now; ranks share the documents.</summary>
    public EvaluationSummary Measure(LlamaForCausalLM model, LayerPlan layers, AttentionPath path, ICollectives ranks, CancellationToken stop)
    {
        using var scorer = new LlamaScorer(model, layers, path);
        using var log = new ResultLog();
        var scores = new PerplexityEvaluation(plan, documents, log, ranks: ranks).Run(scorer, default, cancel: stop);
        var reached = PerplexityStatistics.Perplexity(scores, 0).Lengths.Where(length => length.MeanNll is not null);
        return new EvaluationSummary(
            plan.Protocols[0].Name,
            [.. reached.Select(length => new LengthEvaluation(length.Length, length.Documents, length.Tokens, length.MeanNll!.Value, length.Perplexity!.Value))],
            PerplexityStatistics.Curve(scores)?.EffectiveContext.ToString());
    }

    private static void Warn(RunConfig config, IReadOnlyList<int> lengths, int longest)
    {
        if (lengths.Where(length => length > longest).ToList() is { Count: > 0 } missed)
        {
            Log.Warning("no document of eval_data has {Lengths:l} tokens (the longest has {Longest}): not measured there", string.Join(" or ", missed), longest);
        }

        var trained = DataFiles.Find(config.Data.Data).Select(file => Path.GetFullPath(file.Path)).ToHashSet();
        if (DataFiles.Find(config.Evaluation.EvalData).FirstOrDefault(file => trained.Contains(Path.GetFullPath(file.Path))) is { } shared)
        {
            Log.Warning("{File:l} is in data and in eval_data: perplexity on text that was trained on says little of other text", shared.Path);
        }
    }
}
