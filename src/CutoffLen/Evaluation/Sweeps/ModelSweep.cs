using System.Runtime.InteropServices;
using CutoffLen.Hardware;
using CutoffLen.Models;
using CutoffLen.Positions;

namespace CutoffLen.Evaluation.Sweeps;

/// <summary>A sweep of a model under a position method, with the proof that the method was applied.</summary>
/// <param name="Spec">The position method, everything filled in.</param>
/// <param name="Scores">What was measured.</param>
/// <param name="Proof">Hashes of the method's tables and vanilla's.</param>
/// <param name="LargestLogitDifference">From vanilla RoPE, on a probe.</param>
public sealed record ModelSweep(PositionSpec Spec, SweepScores Scores, PositionProof Proof, double LargestLogitDifference)
{
    /// <summary>Measures; finished work in the log is not redone.</summary>
    /// <param name="model">The network under its position method.</param>
    /// <param name="identity">Names the weights: results of another identity are not used.</param>
    /// <param name="plan">Protocols and lengths; whether the method looks at the length is filled in.</param>
    /// <param name="texts">The documents, tokenized with the model's tokenizer.</param>
    /// <param name="log">Where finished work is kept.</param>
    /// <param name="batchTokens">The most tokens that one batch reads.</param>
    /// <param name="progress">Told after every batch.</param>
    /// <param name="cancel">Stops it between batches.</param>
    /// <exception cref="UserException">No text reaches any length, or the longest forward does not fit into memory.</exception>
    public static ModelSweep Run(
        PositionedModel model, string identity, SweepPlan plan, IReadOnlyList<EvaluationText> texts, ResultLog log, int batchTokens,
        IProgress<SweepProgress>? progress = null, CancellationToken cancel = default)
    {
        CheckMemory(model.Model, plan, texts, batchTokens);
        using var scorer = new LlamaScorer(model.Model, model.Method, model.Attention.Path);
        var run = string.Join(' ', identity, model.Proof.Spec, model.Model.Dtype, model.Model.Device, batchTokens);
        var sweep = new PerplexitySweep(scorer, plan with { DependsOnLength = scorer.DependsOnLength }, log, run, batchTokens);
        try
        {
            return new ModelSweep(model.Spec, sweep.Run(texts, progress, cancel), model.Proof, model.LargestLogitDifference);
        }
        catch (ExternalException problem) when (problem.Message.Contains("memory", StringComparison.OrdinalIgnoreCase))
        {
            throw new UserException(
                $"memory ran out ({problem.Message.Split('\n')[0]}); what is finished is kept: go on with shorter lengths, or with --batch-tokens below {batchTokens}", problem);
        }
    }

    private static void CheckMemory(Llama model, SweepPlan plan, IReadOnlyList<EvaluationText> texts, int batchTokens)
    {
        // A CUDA device's torch reports by itself when memory runs out; a CPU's process would be killed.
        if (model.Device.type == TorchSharp.DeviceType.CPU)
        {
            var reached = plan.Lengths.LastOrDefault(length => texts.Any(text => text.Tokens.Length >= length));
            // A batch is never larger than all there is to read.
            var most = Math.Max(reached, Math.Min(batchTokens, texts.Sum(text => (long)text.Tokens.Length) * plan.Lengths.Count));
            new ScoringMemory(model.Config, model.Dtype).Check(most, HostMemory.Read().AvailableBytes);
        }
    }
}
