using System.Runtime.InteropServices;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Hardware;
using CutoffLen.Memory;
using CutoffLen.Models;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Evaluation;

/// <summary>How far an evaluation is.</summary>
/// <param name="TokensDone">Tokens read by the model, those of an earlier run included.</param>
/// <param name="TokensTotal">Tokens to be read in all.</param>
/// <param name="TokensReused">Tokens whose scores an earlier run left.</param>
public readonly record struct EvaluationProgress(long TokensDone, long TokensTotal, long TokensReused);

/// <summary>The scores of a model under a position method, with the proof that the method was applied.</summary>
/// <param name="Spec">The resolved position spec.</param>
/// <param name="Scores">The scores.</param>
/// <param name="Proof">Hashes of the method's tables and vanilla's.</param>
/// <param name="LargestLogitDifference">From vanilla RoPE, on a probe.</param>
public sealed record ModelScores(PositionSpec Spec, PerplexityScores Scores, PositionProof Proof, double LargestLogitDifference);

/// <summary>
/// Scores documents with several protocols and lengths at once. It plans the forwards, leaves out those that the log has,
/// batches windows of equal length, and logs the scores of each batch. Ranks share the batches, which are those of one rank,
/// and every rank logs all scores.
/// </summary>
/// <param name="plan">Protocols and lengths.</param>
/// <param name="documents">The documents, tokenized with the model's tokenizer.</param>
/// <param name="log">Keeps finished scores.</param>
/// <param name="batchTokens">The most tokens that one batch reads; a longer window goes alone.</param>
/// <param name="ranks">The ranks that share the work; null for one.</param>
public sealed class PerplexityEvaluation(
    PerplexityPlan plan, IReadOnlyList<EvaluationDocument> documents, ResultLog log, int batchTokens = PerplexityEvaluation.StandardBatchTokens,
    ICollectives? ranks = null)
{
    /// <summary>Tokens of a batch where nothing is said.</summary>
    public const int StandardBatchTokens = 8192;

    private readonly ICollectives ranks = ranks ?? SingleRank.Instance;

    /// <summary>Protocols and lengths.</summary>
    public PerplexityPlan Plan => plan;

    /// <summary>Scores a model under its position method.</summary>
    /// <param name="model">The network under its position method.</param>
    /// <param name="identity">Names the weights: scores of another identity are not reused.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="cancel">Stops it between batches.</param>
    /// <exception cref="UserException">No document reaches any length, or the longest forward does not fit into memory.</exception>
    public ModelScores Run(PositionedModel model, string identity, IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        CheckMemory(model);
        using var scorer = new LlamaScorer(model.Model, model.Layers, model.Attention.Path);
        var run = RunKey.Of(identity, model.Spec, model.Model.Dtype, model.Model.Device, batchTokens);
        log.Append(run, new LoggedProof(model.Proof.Hash, model.Proof.VanillaHash, model.LargestLogitDifference));
        try
        {
            return new ModelScores(model.Spec, Run(scorer, run, progress, cancel), model.Proof, model.LargestLogitDifference);
        }
        catch (ExternalException problem) when (problem.Message.Contains("memory", StringComparison.OrdinalIgnoreCase))
        {
            throw new UserException(
                $"memory ran out ({problem.Message.Split('\n')[0]}); what is finished is kept: go on with shorter lengths, or with --batch-tokens below {batchTokens}", problem);
        }
    }

    /// <summary>The scores that the log has of a model, without loading its weights; null while any is missing.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="positions">Its position method, for the plan's longest length.</param>
    /// <param name="compute">Device and dtype of the run.</param>
    public ModelScores? Recall(ModelFolder folder, PositionSetup positions, DeviceAndDtype compute)
    {
        var run = RunKey.Of(folder.Identity, positions.Spec, compute.Dtype, compute.Device, batchTokens);
        if (log.Proof(run) is not { } proof)
        {
            return null;
        }

        var forwards = plan.Forwards(documents, positions.Layers.DependsOnLength);
        var completed = new CompletedScores(plan, documents, log, run);
        return forwards.Count > 0 && completed.Has(forwards)
            ? new ModelScores(positions.Spec, completed.Collect(forwards), new PositionProof($"{positions.Spec}", proof.Hash, proof.VanillaHash), proof.LargestLogitDifference)
            : null;
    }

    /// <summary>Scores all documents with a scorer. Only what the log lacks of the run is computed.</summary>
    /// <exception cref="UserException">No document reaches any length.</exception>
    public PerplexityScores Run(INllScorer scorer, RunKey run, IProgress<EvaluationProgress>? progress = null, CancellationToken cancel = default)
    {
        var forwards = plan.Forwards(documents, scorer.DependsOnLength);
        if (forwards.Count == 0)
        {
            throw NothingFits();
        }

        var completed = new CompletedScores(plan, documents, log, run);
        var total = forwards.Sum(forward => (long)forward.Length);
        ranks.RequireSame([$"model {run.Model}", $"positions {run.Positions}", $"dtype {run.Dtype}", $"device {run.Device}", $"{documents.Count} documents", $"{total} tokens"]);
        long done = 0, reused = 0;
        var round = new List<IReadOnlyList<PlannedForward>>(); // a batch a rank
        foreach (var batch in InOrder(Batches(forwards)))
        {
            var tokens = batch.Sum(forward => (long)forward.Length);
            if (completed.Has(batch))
            {
                reused += tokens;
            }
            else
            {
                round.Add(batch);
                if (round.Count == ranks.Size)
                {
                    Score(scorer, round, run, cancel);
                }
            }

            done += tokens;
            progress?.Report(new EvaluationProgress(done, total, reused));
        }

        if (round.Count > 0)
        {
            Score(scorer, round, run, cancel);
        }

        return completed.Collect(forwards);
    }

    /// <summary>Several ranks make batches of about the same length at a time, so that none waits long.</summary>
    private IEnumerable<IReadOnlyList<PlannedForward>> InOrder(IEnumerable<IReadOnlyList<PlannedForward>> batches) =>
        ranks.Size == 1 ? batches : batches.OrderByDescending(batch => batch[0].Length);

    /// <summary>
    /// Batches of forwards of equal length within the token budget. They are made from the whole plan, not from what is
    /// left of it: rounding may differ between batch sizes, and a resumed run must make the same batches.
    /// </summary>
    private IEnumerable<IReadOnlyList<PlannedForward>> Batches(IEnumerable<PlannedForward> forwards)
    {
        var open = new Dictionary<int, List<PlannedForward>>();
        foreach (var forward in forwards)
        {
            if (!open.TryGetValue(forward.Length, out var batch))
            {
                open.Add(forward.Length, batch = []);
            }

            batch.Add(forward);
            if ((batch.Count + 1L) * forward.Length > batchTokens)
            {
                open.Remove(forward.Length);
                yield return batch;
            }
        }

        foreach (var (_, batch) in open.OrderBy(entry => entry.Key))
        {
            yield return batch;
        }
    }

    /// <summary>Scores and logs a batch a rank, and empties the round. The ranks stop together.</summary>
    private void Score(INllScorer scorer, List<IReadOnlyList<PlannedForward>> round, RunKey run, CancellationToken cancel)
    {
        if (ranks.Any(cancel.IsCancellationRequested))
        {
            throw new OperationCanceledException(cancel);
        }

        var own = round.SelectMany((batch, n) => n == ranks.Rank ? Score(scorer, batch) : [.. new double[batch.Sum(CountOf)]]);
        var scores = new Queue<double>(ranks.Sum([.. own]));
        round.ForEach(batch => Append(run, batch, scores));
        round.Clear();
    }

    /// <summary>The scores of a forward: one a span, then one a bucket of the curve.</summary>
    private static int CountOf(PlannedForward forward) => forward.Spans.Count + BucketsOf(forward);

    private static int BucketsOf(PlannedForward forward) => forward.CurveLength > 0 ? new PositionBuckets(forward.CurveLength).Count : 0;

    /// <summary>The scores of a batch, forward by forward.</summary>
    private List<double> Score(INllScorer scorer, IReadOnlyList<PlannedForward> batch)
    {
        var requests = batch.Select(Request).ToList();
        var nll = scorer.Nll(requests);
        var scores = new List<double>();
        foreach (var (i, forward) in batch.Index())
        {
            foreach (var span in forward.Spans)
            {
                var from = Array.BinarySearch(requests[i].Positions, span.FirstTarget - 1 - forward.Start);
                scores.Add(Sum(nll[i].AsSpan(from, span.Count)));
            }

            if (forward.CurveLength > 0)
            {
                scores.AddRange(ByPosition(requests[i].Positions, nll[i], forward.CurveLength));
            }
        }

        return scores;
    }

    /// <summary>Logs the scores of a batch, the next of all scores.</summary>
    private void Append(RunKey run, IReadOnlyList<PlannedForward> batch, Queue<double> scores)
    {
        var windows = new List<WindowScore>();
        var curves = new List<CurveScore>();
        foreach (var forward in batch)
        {
            var document = documents[forward.Document].Identity;
            windows.AddRange(forward.Spans.Select(span => new WindowScore(document, span.Protocol, span.Length, span.FirstTarget, scores.Dequeue(), span.Count)));
            if (forward.CurveLength > 0)
            {
                double[] sums = [.. Enumerable.Range(0, BucketsOf(forward)).Select(_ => scores.Dequeue())];
                curves.Add(new CurveScore(document, plan.Protocols[0].Name, forward.CurveLength, forward.Start, sums));
            }
        }

        log.Append(run, windows, curves);
    }

    private ScoringRequest Request(PlannedForward forward)
    {
        // One more than is read: the last token may be a target only.
        var document = documents[forward.Document];
        var available = document.Tokens.Length + (forward.Prefix is null ? 0 : 1);
        var stream = document.Slice(forward.Prefix, forward.Start, Math.Min(forward.InputEnd + 1, available));
        var inputs = stream[..forward.Length];
        if (forward.BosFirst)
        {
            inputs[0] = plan.Special.Bos!.Value;
        }

        var wanted = new bool[forward.Length];
        foreach (var span in forward.Spans)
        {
            wanted.AsSpan(span.FirstTarget - 1 - forward.Start, span.Count).Fill(true);
        }

        wanted.AsSpan(0, Math.Max(0, forward.CurveLength - 1)).Fill(true);
        var positions = Enumerable.Range(0, wanted.Length).Where(p => wanted[p]).ToArray();
        return new ScoringRequest(inputs, positions, Array.ConvertAll(positions, p => stream[p + 1]));
    }

    // Position p's prediction has p + 1 tokens of context.
    private static double[] ByPosition(int[] positions, float[] nll, int length)
    {
        var buckets = new PositionBuckets(length);
        var sums = new double[buckets.Count];
        for (var i = 0; i < positions.Length && positions[i] + 1 < length; i++)
        {
            sums[buckets.Of(positions[i] + 1)] += nll[i];
        }

        return sums;
    }

    private static double Sum(ReadOnlySpan<float> values)
    {
        var sum = 0.0;
        foreach (var value in values)
        {
            sum += value;
        }

        return sum;
    }

    private void CheckMemory(PositionedModel model)
    {
        // On a CUDA device torch reports that memory ran out; on a CPU the process would be killed.
        if (model.Model.Device.type == TorchSharp.DeviceType.CPU)
        {
            var reached = plan.Lengths.LastOrDefault(length => documents.Any(document => document.Tokens.Length >= length));
            // A batch is never larger than all there is to read.
            var most = Math.Max(reached, Math.Min(batchTokens, documents.Sum(document => (long)document.Tokens.Length) * plan.Lengths.Count));
            new ScoringMemory(model).Check(most, HostMemory.Read().AvailableBytes / LocalWorld.Current.Size);
        }
    }

    private UserException NothingFits() => new(documents.Count == 0
        ? "there is no text to measure on"
        : $"no text is long enough: the longest of {documents.Count} has {documents.Max(document => document.Tokens.Length)} tokens, "
            + $"the shortest length asked for is {plan.Lengths[0]} under {string.Join(", ", plan.Protocols.Select(p => p.Name))}");
}
