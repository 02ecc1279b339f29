using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Evaluation;

/// <summary>Perplexity at a length.</summary>
/// <param name="Length">Context length in tokens.</param>
/// <param name="MeanNll">Mean NLL as the protocol averages it, nats; null when no document reaches the length.</param>
/// <param name="Interval">95% interval of the mean NLL, nats; null where a single unit gives none.</param>
/// <param name="Documents">Documents measured.</param>
/// <param name="DocumentsLeftOut">Documents too short for the length.</param>
/// <param name="Tokens">Tokens scored, counted each time.</param>
/// <param name="Windows">Windows scored.</param>
/// <param name="Gain">The gain over a shorter length on the same tokens; null where no shorter length scores most of them.</param>
public sealed record LengthResult(
    int Length, double? MeanNll, Interval? Interval, int Documents, int DocumentsLeftOut, long Tokens, int Windows, ContextGain? Gain)
{
    /// <summary>exp of the mean NLL.</summary>
    public double? Perplexity => MeanNll is { } nll ? Math.Exp(nll) : null;

    /// <summary>95% interval of the perplexity.</summary>
    public Interval? PerplexityInterval => Interval?.Map(Math.Exp);

    /// <summary>Per word, byte and bit, where the protocol defines them.</summary>
    public PerWordAndByte? PerWordAndByte { get; init; }
}

/// <summary>The lm-evaluation-harness's metrics: the summed NLL over the words and bytes of the documents.</summary>
/// <param name="WordPerplexity">exp(nats / words).</param>
/// <param name="BytePerplexity">exp(nats / bytes).</param>
/// <param name="BitsPerByte">nats / bytes / ln 2.</param>
public sealed record PerWordAndByte(double WordPerplexity, double BytePerplexity, double BitsPerByte)
{
    internal static PerWordAndByte Of(double nats, long words, long bytes) =>
        new(Math.Exp(nats / words), Math.Exp(nats / bytes), nats / bytes / Math.Log(2));
}

/// <summary>
/// How much lower the NLL of the same tokens is with more context. Above 0 the model uses the far context, at 0 it ignores
/// it, below 0 the far context harms it.
/// </summary>
/// <param name="From">The shorter length, tokens.</param>
/// <param name="Nats">NLL at the shorter length minus NLL at this length, per token.</param>
/// <param name="Interval">95% interval.</param>
/// <param name="Tokens">Tokens of the windows whose targets both lengths share.</param>
public sealed record ContextGain(int From, double Nats, Interval? Interval, long Tokens);

/// <summary>NLL of the targets with From to To - 1 tokens of context.</summary>
/// <param name="From">First position of the bucket.</param>
/// <param name="To">One past its last.</param>
/// <param name="Nll">Mean, nats.</param>
/// <param name="Interval">95% interval.</param>
/// <param name="Tokens">Tokens in the bucket.</param>
public sealed record CurvePoint(int From, int To, double Nll, Interval? Interval, long Tokens);

/// <summary>Perplexity of a model with a position method under one protocol.</summary>
/// <param name="Protocol">Name, with the stride where it is not the source's own.</param>
/// <param name="Unit">What the bootstrap draws: <c>texts</c> (documents), or <c>windows</c> of a single document.</param>
/// <param name="Lengths">One result for each length asked for.</param>
public sealed record ProtocolResult(string Protocol, string Unit, IReadOnlyList<LengthResult> Lengths);

/// <summary>NLL by position and the effective context.</summary>
/// <param name="Length">Window length in tokens.</param>
/// <param name="Windows">Windows averaged; they overlap where the protocol's do.</param>
/// <param name="Unit">What the bootstrap draws: <c>texts</c> (documents), or <c>stretches</c> of a single document, as long as a window.</param>
/// <param name="Points">Bucket by bucket.</param>
/// <param name="EffectiveContext">Where the context ends.</param>
public sealed record PositionCurve(
    int Length, int Windows, string Unit, IReadOnlyList<CurvePoint> Points, EffectiveContextLimit EffectiveContext);

/// <summary>The difference of two results on the same documents, paired by document.</summary>
/// <param name="Length">Context length in tokens.</param>
/// <param name="Nats">Mean NLL minus that of the baseline.</param>
/// <param name="Interval">95% interval.</param>
public sealed record PairedDifference(int Length, double Nats, Interval? Interval)
{
    /// <summary>Perplexity over that of the baseline.</summary>
    public double PerplexityRatio => Math.Exp(Nats);

    // Differences up to here, in nats, are float32 rounding in forwards of other shapes.
    private const double Rounding = 1e-4;

    /// <summary>Whether the interval excludes 0 and the difference is more than float32 rounding.</summary>
    public bool IsSignificant => IsBeyondRounding(Nats, Interval);

    /// <summary>Whether an interval excludes 0 and its mean is more than float32 rounding.</summary>
    internal static bool IsBeyondRounding(double nats, Interval? interval) => interval is { } i && i.Excludes(0) && Math.Abs(nats) > Rounding;
}
