using CutoffLen.Common;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Evaluation.Sweeps;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;
using CutoffLen.Tokenization;

namespace CutoffLen.Reports;

/// <summary>Makes reports of sweeps.</summary>
public static class PerplexityReporting
{
    // How many times a sweep's length a predicted bound is looked for.
    private const int Beyond = 16;

    /// <summary>What a sweep measured, averaged, with what theory says beside it.</summary>
    /// <param name="model">Name of the model.</param>
    /// <param name="config">Its architecture.</param>
    /// <param name="sweep">The sweep.</param>
    /// <param name="delta">The rise that ends the effective context, nats.</param>
    public static MeasuredMethod Measured(string model, LlamaConfig config, ModelSweep sweep, double delta = EffectiveContext.StandardDelta)
    {
        var protocols = Enumerable.Range(0, sweep.Scores.Plan.Protocols.Count).Select(p => SweepStatistics.Perplexity(sweep.Scores, p));
        return new MeasuredMethod(
            model, sweep.Spec.ToString(), config.NativeLength, new MethodProof(sweep.Proof.Hash, sweep.LargestLogitDifference),
            [.. protocols], SweepStatistics.Curve(sweep.Scores, delta, config.NativeLength), Bounds(config.Positions, sweep.Spec, sweep.Scores.Plan.Lengths[^1]));
    }

    /// <summary>A sweep's differences from a baseline's, one comparison for each protocol.</summary>
    public static IEnumerable<MethodComparison> Compare(string model, ModelSweep sweep, ModelSweep baseline) =>
        sweep.Scores.Plan.Protocols.Select((protocol, p) =>
            new MethodComparison(model, sweep.Spec.ToString(), protocol.Name, SweepStatistics.Differences(sweep.Scores, baseline.Scores, p)));

    /// <summary>A protocol and how it treats BOS with a vocabulary's special tokens.</summary>
    public static ProtocolNote Note(PerplexityProtocol protocol, SpecialTokens special) => new(protocol.Name, protocol.Definition, Start(protocol, special));

    /// <summary>What a reader should know of the texts and of how sure the numbers are.</summary>
    public static IEnumerable<string> Notes(IReadOnlyList<MeasuredMethod> measured, EvaluationTexts texts)
    {
        if (texts.Empty > 0)
        {
            yield return $"{texts.Empty} empty {(texts.Empty == 1 ? "document was" : "documents were")} left out.";
        }

        foreach (var result in measured[0].Protocols[0].Lengths.Where(l => l.TextsLeftOut > 0))
        {
            yield return result.Texts == 0
                ? $"No text has {Numbers.Count(result.Length)} tokens: that length is empty."
                : $"{result.TextsLeftOut} of {result.Texts + result.TextsLeftOut} texts are shorter than {Numbers.Count(result.Length)} tokens and are left out of that length.";
        }

        if (measured.Any(m => m.Protocols.Any(p => p.Unit == "windows") || m.Curve?.Unit == "stretches"))
        {
            yield return "Where one text reaches a length, its windows (for the curve: stretches of a window's length) are what the bootstrap draws: the intervals say how much stretches of this text differ, not how much texts do.";
        }
    }

    /// <summary>Bounds of the context for the frequencies of a method; none for methods that have no frequencies.</summary>
    private static IReadOnlyList<PredictedBound> Bounds(PositionModel model, PositionSpec spec, int longest)
    {
        if (new PositionSetup(spec, model, longest).Method is not FrequencyMethod method)
        {
            return [];
        }

        var frequencies = method.Frequencies(longest);
        var critical = RopeTheory.CriticalDimension(model.HeadDim, model.Base, model.NativeLength);
        return
        [
            new PredictedBound(
                "critical period", RopeTheory.ExtrapolationBound(frequencies, critical),
                $"tokens in which the first rotary pair that never completed a turn in training does so under this method; dimension {critical} of {model.HeadDim} is critical (Scaling Laws of RoPE-based Extrapolation, arXiv 2310.05209)"),
            new PredictedBound(
                "base bound", RopeTheory.SupportedContext(frequencies, (int)Math.Min(int.MaxValue, (long)longest * Beyond)) ?? double.PositiveInfinity,
                "tokens up to which like vectors are expected to attract each other more than random ones under these frequencies (Base of RoPE Bounds Context Length, arXiv 2405.14591)"),
        ];
    }

    private static string Start(PerplexityProtocol protocol, SpecialTokens special) => (protocol, special) switch
    {
        (LlamaCppHalf, { AddsBos: true }) => "BOS stands in place of the first token of every window, as the tokenizer adds BOS.",
        (_, { AddsBos: true }) => "Texts begin with BOS, as the tokenizer has it; windows within a text do not.",
        ({ TextStart: TextStart.Bos or TextStart.BosOrEos }, { Bos: not null }) => "BOS is put before each text; the tokenizer itself adds none.",
        ({ TextStart: TextStart.BosOrEos }, { Eos: not null }) => "EOS is put before each text, as the vocabulary has no BOS.",
        _ => "Nothing is put before the texts: the tokenizer adds no BOS.",
    };
}
