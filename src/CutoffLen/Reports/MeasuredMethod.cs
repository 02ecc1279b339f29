using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Models.Llama;
using CutoffLen.Positions;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.Spec;
using CutoffLen.Positions.Theory;

namespace CutoffLen.Reports;

/// <summary>A bound of the context that theory predicts.</summary>
/// <param name="Name">Short, for a chart.</param>
/// <param name="Tokens">The bound in tokens; infinite for "none".</param>
/// <param name="Source">Formula and paper.</param>
public sealed record PredictedBound(string Name, double Tokens, string Source);

/// <summary>The proof that a position method was applied.</summary>
/// <param name="TableHash">Hash of the rotary tables and bands.</param>
/// <param name="LargestLogitDifference">From vanilla RoPE on a probe; 0 only for a method that is vanilla here.</param>
public sealed record MethodProof(string TableHash, double LargestLogitDifference);

/// <summary>A model under a position method, with all results of it.</summary>
/// <param name="Model">Name of the checkpoint.</param>
/// <param name="Method">The resolved position spec.</param>
/// <param name="NativeLength">Tokens the checkpoint was trained at.</param>
/// <param name="Proof">That the method was applied.</param>
/// <param name="Protocols">Perplexity by protocol.</param>
/// <param name="Curve">NLL by position.</param>
/// <param name="Bounds">The bounds that theory predicts for it.</param>
public record MeasuredMethod(
    string Model, string Method, int NativeLength, MethodProof? Proof,
    IReadOnlyList<ProtocolResult> Protocols, PositionCurve? Curve, IReadOnlyList<PredictedBound> Bounds)
{
    // Predicted bounds are searched up to this multiple of the longest length.
    private const int BoundSearchFactor = 16;

    /// <summary>Passkey retrieval, where it was measured.</summary>
    public PasskeyResult? Passkey { get; init; }

    /// <summary>RULER's scores, where they were measured.</summary>
    public RulerResult? Ruler { get; init; }

    /// <summary>LongPPL over all documents long enough, where it was measured.</summary>
    public LongPplSummary? LongPpl { get; init; }

    /// <summary>Attention resolution of each layer, where it was measured.</summary>
    public IReadOnlyList<double>? AttentionResolution { get; init; }

    /// <summary>The effective context; null when no document has a whole window.</summary>
    public EffectiveContextLimit? Limit => Curve?.EffectiveContext;

    /// <summary>Averages scores and adds the bounds of theory.</summary>
    /// <param name="model">Name of the model.</param>
    /// <param name="config">Its architecture.</param>
    /// <param name="scores">Its scores.</param>
    /// <param name="delta">The rise that ends the effective context, nats.</param>
    public static MeasuredMethod Of(string model, LlamaConfig config, ModelScores scores, double delta = EffectiveContext.StandardDelta)
    {
        var protocols = Enumerable.Range(0, scores.Scores.Plan.Protocols.Count).Select(p => PerplexityStatistics.Perplexity(scores.Scores, p));
        return new MeasuredMethod(
            model, $"{scores.Spec}", config.NativeLength, new MethodProof(scores.Proof.Hash, scores.LargestLogitDifference),
            [.. protocols], PerplexityStatistics.Curve(scores.Scores, delta, config.NativeLength), BoundsOf(config.Positions, scores.Spec, scores.Scores.Plan.Lengths[^1]));
    }

    /// <summary>The result under a protocol.</summary>
    internal ProtocolResult Under(string protocol) => Protocols.First(p => p.Protocol == protocol);

    /// <summary>Predicted bounds for the frequencies of a method; none for methods without frequencies.</summary>
    private static IReadOnlyList<PredictedBound> BoundsOf(PositionModel model, PositionSpec spec, int longest)
    {
        if (new PositionSetup(spec, model, longest).Layers.OfEveryLayer is not FrequencyMethod method)
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
                "base bound", RopeTheory.SupportedContext(frequencies, (int)Math.Min(int.MaxValue, (long)longest * BoundSearchFactor)) ?? double.PositiveInfinity,
                "tokens up to which like vectors are expected to attract each other more than random ones under these frequencies (Base of RoPE Bounds Context Length, arXiv 2405.14591)"),
        ];
    }
}
