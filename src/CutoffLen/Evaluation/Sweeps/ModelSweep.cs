using System.Runtime.InteropServices;
using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Hardware;
using CutoffLen.Memory;
using CutoffLen.Models;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;
using static TorchSharp.torch;

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
        var run = RunOf(identity, model.Spec, model.Model.Dtype, model.Model.Device, batchTokens);
        log.Append(run, new LoggedProof(model.Proof.Hash, model.Proof.VanillaHash, model.LargestLogitDifference));
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

    /// <summary>The sweep as a log has it, without the weights; null while anything is missing in it.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="positions">The position method, for the plan's longest length.</param>
    /// <param name="compute">Device and dtype of the run.</param>
    /// <param name="plan">Protocols and lengths; whether the method looks at the length is filled in.</param>
    /// <param name="texts">The documents.</param>
    /// <param name="log">Where finished work is kept.</param>
    /// <param name="batchTokens">The most tokens that one batch reads.</param>
    public static ModelSweep? Recall(
        ModelFolder folder, PositionSetup positions, DeviceAndDtype compute, SweepPlan plan, IReadOnlyList<EvaluationText> texts, ResultLog log, int batchTokens)
    {
        var run = RunOf(folder.Identity, positions.Spec, compute.Dtype, compute.Device, batchTokens);
        if (log.Proof(run) is not { } proof)
        {
            return null;
        }

        var whole = plan with { DependsOnLength = positions.Method.DependsOnLength };
        return new FinishedWork(whole, log, run).All(texts) is { } scores
            ? new ModelSweep(positions.Spec, scores, new PositionProof(positions.Spec.ToString(), proof.Hash, proof.VanillaHash), proof.LargestLogitDifference)
            : null;
    }

    private static string RunOf(string identity, PositionSpec spec, ScalarType dtype, Device device, int batchTokens) =>
        string.Join(' ', identity, spec, dtype, device, batchTokens);

    private static void CheckMemory(LlamaForCausalLM model, SweepPlan plan, IReadOnlyList<EvaluationText> texts, int batchTokens)
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
