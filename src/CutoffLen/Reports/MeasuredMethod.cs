using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Models;
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

/// <summary>Attention at the queries of a bucket of positions, averaged over layers and heads.</summary>
/// <param name="From">First position.</param>
/// <param name="To">One past the last.</param>
/// <param name="Entropy">Nats.</param>
/// <param name="Divergence">From the checkpoint's own method, nats.</param>
public sealed record AttentionBucket(int From, int To, double Entropy, double Divergence)
{
    /// <summary>The buckets of a measurement, log-spaced.</summary>
    internal static IEnumerable<AttentionBucket> Of(AttentionDistributions attention)
    {
        var edges = new PositionBuckets(attention.EntropyByPosition.Length).Edges;
        return edges.Zip(edges.Skip(1), (from, to) => new AttentionBucket(
            from, to, attention.EntropyByPosition[from..to].Average(), attention.DivergenceByPosition[from..to].Average()));
    }
}

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
    /// <summary>The name of the bound by a scaling law of fine-tuning.</summary>
    internal const string ScalingLawName = "scaling law";

    /// <summary>The name of the bound by the base alone.</summary>
    internal const string BaseBoundName = "base bound";

    // Predicted bounds are searched up to this multiple of the longest length.
    private const int BoundSearchFactor = 16;

    /// <summary>Passkey retrieval, where it was measured.</summary>
    public PasskeyResult? Passkey { get; init; }

    /// <summary>Summaries with their ROUGE, where documents were summarized.</summary>
    public SummarizationResult? Summarization { get; init; }

    /// <summary>RULER's scores, where they were measured.</summary>
    public RulerResult? Ruler { get; init; }

    /// <summary>LongPPL over all documents long enough, where it was measured.</summary>
    public LongPplSummary? LongPpl { get; init; }

    /// <summary>Attention resolution of each layer, where it was measured.</summary>
    public ResolutionByLayer? AttentionResolution { get; init; }

    /// <summary>Attention entropy, and the divergence from the checkpoint's own method, where they were measured.</summary>
    public AttentionDistributions? AttentionDistributions { get; init; }

    /// <summary>The scaling law for its base; null where its positions are not RoPE of a base.</summary>
    public ScalingLaw? ScalingLaw { get; init; }

    /// <summary>The effective context; null when no document has a whole window.</summary>
    public EffectiveContextLimit? Limit => Curve?.EffectiveContext;

    /// <summary>A model under a position method, without results yet.</summary>
    /// <param name="name">Name of the checkpoint.</param>
    /// <param name="model">The model.</param>
    public static MeasuredMethod Of(string name, PositionedModel model) => new(
        name, $"{model.Spec}", model.Model.Config.NativeLength, new MethodProof(model.Proof.Hash, model.LargestLogitDifference), [], null, []);

    /// <summary>Averages scores and adds the bounds of theory.</summary>
    /// <param name="model">Name of the model.</param>
    /// <param name="config">Its architecture.</param>
    /// <param name="scores">Its scores.</param>
    /// <param name="delta">The rise that ends the effective context, nats.</param>
    /// <param name="cutoff">The cutoff of its fine-tuning, tokens; null where the checkpoint is measured as it is.</param>
    public static MeasuredMethod Of(
        string model, LlamaConfig config, ModelScores scores, double delta = EffectiveContext.StandardDelta, int? cutoff = null)
    {
        var (law, bounds) = TheoryOf(config.Positions, scores.Spec, scores.Scores.Plan.Lengths[^1], cutoff ?? config.NativeLength);
        var protocols = Enumerable.Range(0, scores.Scores.Plan.Protocols.Count).Select(p => PerplexityStatistics.Perplexity(scores.Scores, p));
        return new MeasuredMethod(
            model, $"{scores.Spec}", config.NativeLength, new MethodProof(scores.Proof.Hash, scores.LargestLogitDifference),
            [.. protocols], PerplexityStatistics.Curve(scores.Scores, delta, config.NativeLength), bounds) { ScalingLaw = law };
    }

    /// <summary>The result under a protocol.</summary>
    internal ProtocolResult Under(string protocol) => Protocols.First(p => p.Protocol == protocol);

    /// <summary>What theory predicts for the frequencies of a method; nothing for methods without frequencies.</summary>
    private static (ScalingLaw? Law, IReadOnlyList<PredictedBound> Bounds) TheoryOf(PositionModel model, PositionSpec spec, int longest, int tuningLength)
    {
        if (new PositionSetup(spec, model, longest).Layers.OfEveryLayer is not FrequencyMethod method)
        {
            return (null, []);
        }

        var frequencies = method.Frequencies(longest);
        var critical = RopeTheory.CriticalDimension(model.HeadDim, model.Base, model.NativeLength);
        var law = ScalingLaw.Of(model, frequencies, tuningLength);
        return (law,
        [
            new PredictedBound(
                ScalingLawName, law?.Bound ?? RopeTheory.ExtrapolationBound(frequencies, critical),
                $"the extrapolation bound of a base after fine-tuning; of other frequencies, the tokens in which the first rotary pair that never completed a turn in training does so; dimension {critical} of {model.HeadDim} is critical (Scaling Laws of RoPE-based Extrapolation, arXiv 2310.05209)"),
            new PredictedBound(
                BaseBoundName, RopeTheory.SupportedContext(frequencies, (int)Math.Min(int.MaxValue, (long)longest * BoundSearchFactor)) ?? double.PositiveInfinity,
                "tokens up to which like vectors are expected to attract each other more than random ones under these frequencies (Base of RoPE Bounds Context Length, arXiv 2405.14591)"),
        ]);
    }
}
