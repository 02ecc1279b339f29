using CutoffLen.Common;
using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Sweeps;

/// <summary>How far a sweep is.</summary>
/// <param name="TokensDone">Tokens read by the model, those of an earlier run included.</param>
/// <param name="TokensTotal">Tokens to be read in all.</param>
/// <param name="TokensReused">Tokens whose results an earlier run left.</param>
public readonly record struct SweepProgress(long TokensDone, long TokensTotal, long TokensReused);

/// <summary>
/// Scores texts under one model and position method, with several protocols and lengths at once: plans the forwards,
/// leaves out what is finished, batches windows of equal length, and logs what each batch gives.
/// </summary>
/// <param name="scorer">The model with its position method.</param>
/// <param name="plan">Protocols, lengths and how forwards are shared.</param>
/// <param name="log">Where finished work is kept.</param>
/// <param name="run">
/// What the results depend on besides the text and the window (model, method, dtype, device, batch size, ...), as a
/// string: results of another run are not used.
/// </param>
/// <param name="batchTokens">The most tokens that one batch reads; a longer window goes alone.</param>
public sealed class PerplexitySweep(INllScorer scorer, SweepPlan plan, ResultLog log, string run, int batchTokens)
{
    /// <summary>Tokens of a batch where nothing is said.</summary>
    public const int StandardBatchTokens = 8192;

    private readonly FinishedWork finished = new(plan, log, run);

    /// <summary>Runs what is not finished and returns the scores of all texts.</summary>
    /// <exception cref="UserException">No text reaches any length.</exception>
    public SweepScores Run(IReadOnlyList<EvaluationText> texts, IProgress<SweepProgress>? progress = null, CancellationToken cancel = default)
    {
        var curveLength = plan.CurveLength(texts);
        var forwards = texts.SelectMany((text, i) => plan.Forwards(i, text, curveLength)).ToList();
        if (forwards.Count == 0)
        {
            throw NothingFits(texts);
        }

        var total = forwards.Sum(forward => (long)forward.Length);
        long done = 0, reused = 0;
        foreach (var batch in Batches(forwards))
        {
            cancel.ThrowIfCancellationRequested();
            var tokens = batch.Sum(forward => (long)forward.Length);
            if (batch.All(forward => finished.Has(forward, texts[forward.Text], curveLength)))
            {
                reused += tokens;
            }
            else
            {
                Score(batch, texts, curveLength);
            }

            done += tokens;
            progress?.Report(new SweepProgress(done, total, reused));
        }

        return finished.Collect(texts, forwards, curveLength);
    }

    /// <summary>
    /// Batches of forwards of equal length within the token budget, made from the whole plan and not from what is left
    /// of it: rounding may differ between batches of different sizes, and a resumed run must make the same ones.
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

    private void Score(IReadOnlyList<PlannedForward> batch, IReadOnlyList<EvaluationText> texts, int? curveLength)
    {
        var requests = batch.Select(forward => Request(forward, texts[forward.Text], curveLength)).ToList();
        var nll = scorer.Nll(requests);
        var windows = new List<WindowScore>();
        var curves = new List<CurveScore>();
        for (var i = 0; i < batch.Count; i++)
        {
            var (forward, text) = (batch[i], texts[batch[i].Text].Identity);
            foreach (var demand in forward.Demands)
            {
                var from = Array.BinarySearch(requests[i].Positions, demand.FirstTarget - 1 - forward.Start);
                var count = demand.TargetEnd - demand.FirstTarget;
                windows.Add(new WindowScore(
                    text, plan.Protocols[demand.Protocol].Name, demand.Length, demand.FirstTarget, Sum(nll[i].AsSpan(from, count)), count));
            }

            if (forward.Curve)
            {
                var length = curveLength!.Value;
                curves.Add(new CurveScore(text, plan.Protocols[0].Name, length, forward.Start, ByPosition(requests[i].Positions, nll[i], length)));
            }
        }

        log.Append(run, windows, curves);
    }

    private ScoringRequest Request(PlannedForward forward, EvaluationText text, int? curveLength)
    {
        // One more than is read: the last token may be a target only.
        var available = text.Tokens.Length + (forward.Prefix is null ? 0 : 1);
        var stream = text.Slice(forward.Prefix, forward.Start, Math.Min(forward.InputEnd + 1, available));
        var inputs = stream[..forward.Length];
        if (forward.BosFirst)
        {
            inputs[0] = plan.Special.Bos!.Value;
        }

        var wanted = new bool[forward.Length];
        foreach (var demand in forward.Demands)
        {
            wanted.AsSpan(demand.FirstTarget - 1 - forward.Start, demand.TargetEnd - demand.FirstTarget).Fill(true);
        }

        if (forward.Curve)
        {
            wanted.AsSpan(0, curveLength!.Value - 1).Fill(true);
        }

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

    private UserException NothingFits(IReadOnlyList<EvaluationText> texts) => new(texts.Count == 0
        ? "there is no text to measure on"
        : $"no text is long enough: the longest of {texts.Count} has {texts.Max(t => t.Tokens.Length)} tokens, "
            + $"the shortest length asked for is {plan.Lengths[0]} under {string.Join(", ", plan.Protocols.Select(p => p.Name))}");
}

/// <summary>The score of a window of a text.</summary>
/// <param name="Text">Index of the text.</param>
/// <param name="Demand">Protocol, length and targets.</param>
/// <param name="Sum">Sum of the NLL, nats.</param>
public readonly record struct TextWindowScore(int Text, Demand Demand, double Sum)
{
    /// <summary>Targets scored.</summary>
    public int Count => Demand.TargetEnd - Demand.FirstTarget;
}

/// <summary>The NLL by position of a window of a text.</summary>
/// <param name="Text">Index of the text.</param>
/// <param name="Start">Index of the window's first token.</param>
/// <param name="Sums">For each position bucket the sum of the NLL, nats.</param>
public sealed record TextCurveScore(int Text, int Start, double[] Sums);

/// <summary>All that a sweep of one model and method measured, before it is averaged.</summary>
/// <param name="Plan">Protocols and lengths.</param>
/// <param name="Texts">The texts.</param>
/// <param name="Windows">Every window's score.</param>
/// <param name="Curves">NLL by position, window by window.</param>
/// <param name="CurveLength">Length of these windows in tokens; null when no text has a whole window of any length.</param>
/// <param name="TokensRead">Tokens that the model read.</param>
public sealed record SweepScores(
    SweepPlan Plan,
    IReadOnlyList<EvaluationText> Texts,
    IReadOnlyList<TextWindowScore> Windows,
    IReadOnlyList<TextCurveScore> Curves,
    int? CurveLength,
    long TokensRead);
