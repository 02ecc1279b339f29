using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Positions.Theory;
using CutoffLen.Runs;

namespace CutoffLen.Reports;

/// <summary>
/// <c>ppl.json</c>, <c>sweep.json</c>, <c>passkey.json</c>, <c>ruler.json</c> and <c>summarization.json</c>: all results with all digits, and how they were measured.
/// Lengths and positions are tokens, NLL is nats. An interval is [low, high], null where a single unit gives none. An end
/// of an interval beyond the measured lengths is null.
/// </summary>
public static class ReportJson
{
    private static readonly JsonSerializerOptions Options = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    /// <summary>The file's text.</summary>
    public static string Text(Report report) => JsonSerializer.Serialize(Of(report), Options) + "\n";

    /// <summary>The value to serialize, names in snake_case.</summary>
    public static object Of(Report report)
    {
        var made = report.Made.ToString("O");
        var settings = new OrderedDictionary<string, string>(report.Settings.Select(s => KeyValuePair.Create(s.Name, s.Value)));
        return report switch
        {
            { Sweep: { } sweep, Perplexity: { } perplexity } => new
            {
                report.Program,
                made,
                sweep.Model,
                sweep.NativeLength,
                report.Dtype,
                settings,
                Protocol = Protocol(perplexity.Protocols[0]),
                perplexity.Lengths,
                Documents = Documents(perplexity.Corpus),
                Findings = Findings.Of(report),
                Published = Published(report.Published),
                CellsPlanned = sweep.Planned,
                Cells = sweep.Cells.Select(OfCell),
                TheoryScores = sweep.Scores.Select(score => new
                {
                    score.Bound,
                    Stage = Stage(score.IsTuned),
                    score.Score.Limits,
                    score.Score.RankCorrelation,
                    RankCorrelationInterval = Ends(score.Score.RankInterval),
                    score.Score.ErrorFactor,
                    ErrorFactorInterval = Ends(score.Score.ErrorInterval),
                }),
                Slopes = sweep.Slopes.Select(slope => new Slope(
                    slope.Rope, slope.Slope?.Exponent, Ends(slope.Slope?.Interval), slope.Slope?.AtOne, slope.Slope?.Points, slope.Slope?.Open)),
                perplexity.Notes,
            },
            { Perplexity: { } perplexity } => new
            {
                report.Program,
                made,
                report.Dtype,
                settings,
                Protocols = perplexity.Protocols.Select(Protocol),
                perplexity.Lengths,
                Documents = Documents(perplexity.Corpus),
                Results = report.Methods.Select(m => new
                {
                    m.Model,
                    m.Method,
                    m.NativeLength,
                    m.Proof,
                    Perplexity = m.Protocols.Select(Perplexity),
                    ByPosition = ByPosition(m.Curve),
                    EffectiveContext = Limit(m.Limit),
                    Predicted = m.Bounds.Select(Bound),
                    ScalingLaw = ScalingLaw(m.ScalingLaw),
                    Passkey = Passkey(m.Passkey),
                    Longppl = LongPpl(m.LongPpl),
                    AttentionResolution = m.AttentionResolution is { } resolution
                        ? new { Mean = resolution.Layers.Average(), resolution.Layers, resolution.Bca, MeanWithBca = resolution.WithBca.Average(), LayersWithBca = resolution.WithBca }
                        : null,
                    Attention = m.AttentionDistributions is { } attention
                        ? new
                        {
                            Tokens = attention.EntropyByPosition.Length,
                            MeanEntropy = attention.Entropy.Average(),
                            attention.Entropy,
                            MeanDivergence = attention.Divergence.Average(),
                            attention.Divergence,
                            Positions = AttentionBucket.Of(attention),
                        }
                        : null,
                }),
                Comparisons = perplexity.Comparisons.Select(c => new
                {
                    c.Model,
                    c.Method,
                    BaselineModel = report.Methods[0].Model,
                    BaselineMethod = report.Methods[0].Method,
                    c.Protocol,
                    Differences = c.Differences.Select(Difference),
                }),
                perplexity.Notes,
            },
            { IsOfSummaries: true } => new
            {
                report.Program,
                made,
                report.Dtype,
                settings,
                Results = report.Methods.Select(m => new { m.Model, m.Method, m.NativeLength, m.Proof, Summarization = Summarization(m.Summarization!) }),
            },
            { IsRuler: true } => new
            {
                report.Program,
                made,
                report.Dtype,
                settings,
                Results = report.Methods.Select(m => new { m.Model, m.Method, m.NativeLength, m.Proof, Ruler = Ruler(m.Ruler!) }),
            },
            _ => new
            {
                report.Program,
                made,
                report.Dtype,
                settings,
                Results = report.Methods.Select(m => new { m.Model, m.Method, m.NativeLength, m.Proof, Passkey = Passkey(m.Passkey) }),
            },
        };
    }

    private static object? Published(PublishedSection? published) => published is null ? null : new
    {
        published.Table.Name,
        published.Table.Source,
        published.Table.Measured,
        published.Table.NativeLength,
        published.Table.Lengths,
        LengthsHere = published.Lengths,
        Rows = published.Rows.Select(row => new
        {
            row.Published.Label,
            Perplexity = row.Published.Perplexities.Select(perplexity => perplexity?.ToString()),
            row.Cell?.Rope,
            row.Cell?.Cutoff,
            PerplexityHere = published.Lengths.Select((_, column) => published.Result(row.Cell, column)?.Perplexity),
        }),
        Relations = published.Relations.Select(relation => new
        {
            relation.Text,
            Kind = relation.IsOrder ? "order" : "change",
            Nll = relation.Measured.Nats,
            NllInterval = Ends(relation.Measured.Interval),
            Agreement = $"{relation.Agreement}".ToLowerInvariant(),
        }),
    };

    private static object Protocol(ProtocolNote note) => new { note.Name, note.Definition, TextStart = note.DocumentStart };

    private static object Documents(Corpus corpus) => new { corpus.Sources, Count = corpus.Documents, corpus.Tokens, corpus.Bytes, corpus.LongestTokens };

    private static object Perplexity(ProtocolResult protocol) => new
    {
        protocol.Protocol,
        IntervalUnit = protocol.Unit,
        Lengths = protocol.Lengths.Select(l => new
        {
            l.Length,
            l.Perplexity,
            PerplexityInterval = Ends(l.PerplexityInterval),
            Nll = l.MeanNll,
            NllInterval = Ends(l.Interval),
            l.Documents,
            l.DocumentsLeftOut,
            TokensScored = l.Tokens,
            l.Windows,
            Gain = l.Gain is { } gain ? new { OverLength = gain.From, Nll = gain.Nats, NllInterval = Ends(gain.Interval), gain.Tokens } : null,
            l.PerWordAndByte?.WordPerplexity,
            l.PerWordAndByte?.BytePerplexity,
            l.PerWordAndByte?.BitsPerByte,
        }),
    };

    private static object? ByPosition(PositionCurve? curve) => curve is null ? null : new
    {
        Window = curve.Length,
        curve.Windows,
        IntervalUnit = curve.Unit,
        Buckets = curve.Points.Select(p => new { p.From, p.To, p.Nll, NllInterval = Ends(p.Interval), p.Tokens }),
    };

    private static object? Limit(EffectiveContextLimit? limit) => limit is null ? null : new
    {
        limit.Tokens,
        Text = $"{limit}",
        AtLeast = limit.Tokens is null ? limit.Swept : (int?)null,
        Interval = Ends(limit.Interval),
        limit.Delta,
    };

    private static object Bound(PredictedBound bound) => new { bound.Name, Tokens = Finite(bound.Tokens), bound.Source };

    private static object? ScalingLaw(ScalingLaw? law) => law is null ? null : new
    {
        law.Base,
        law.TuningLength,
        law.CriticalDimension,
        CriticalBase = Finite(law.CriticalBase),
        law.TunedCriticalDimension,
        law.Bound,
        law.IsLowerBound,
        law.SmallBases,
    };

    private static object Difference(PairedDifference d) =>
        new { d.Length, Nll = d.Nats, NllInterval = Ends(d.Interval), d.PerplexityRatio, Significant = d.IsSignificant };

    private static object? Passkey(PasskeyResult? passkey) => passkey is null ? null : new
    {
        Cells = passkey.Cells.Select(c => new { c.Length, c.Depth, c.Distance, c.Trials, c.Found, c.Accuracy, c.MeanRank, c.Candidates }),
        KMax = passkey.Cells.Select(c => c.Length).Distinct().Select(length => new { length, Tokens = passkey.LargestDistance(length) }),
    };

    private static object Summarization(SummarizationResult summarization) => new
    {
        Documents = summarization.Summaries.Count,
        F1 = new OrderedDictionary<string, object>(summarization.Means.Select(mean => KeyValuePair.Create(mean.Name, (object)new { Mean = mean.F1, Interval = Ends(mean.Interval) }))),
        Summaries = summarization.Summaries.Select(s => new
        {
            s.Source,
            s.PromptTokens,
            s.Tokens,
            F1 = new OrderedDictionary<string, double>(Rouge.Names.Zip(s.Rouge.F1, (name, f1) => KeyValuePair.Create(name, f1))),
            s.Summary,
            s.Reference,
        }),
    };

    private static object Ruler(RulerResult ruler) => new
    {
        Cells = ruler.Cells.Select(c => new { c.Task, c.Length, Samples = c.Shares.Count, Score = c.Score.Percent, ScoreInterval = Ends(c.Score.Interval) }),
        Averages = ruler.Lengths.Select(length => (length, Score: ruler.Average(length)))
            .Select(at => new { at.length, Score = at.Score.Percent, ScoreInterval = Ends(at.Score.Interval) }),
        ruler.Threshold,
        ruler.EffectiveLength,
        WeightedAverage = new { Increasing = ruler.WeightedAverage(increasing: true), Decreasing = ruler.WeightedAverage(increasing: false) },
    };

    private static object? LongPpl(LongPplSummary? summary) => summary is null ? null : new
    {
        summary.LongPerplexity,
        summary.KeyTokens,
        summary.Tokens,
        summary.Documents,
        summary.Settings.TruncatedLength,
        summary.Settings.SlidingWindow,
        summary.Settings.Alpha,
        summary.Settings.Beta,
    };

    private static Cell OfCell(SweepCell cell) => new(
        cell.Rope, Stage(cell.IsTuned), cell.Cutoff, cell.Price is { } price ? Difference(price) : null,
        cell.AgainstItself.Select(Difference), cell.AgainstUntuned.Select(Difference), cell.AgainstFirst.Select(Difference), cell.Cost,
        cell.Model, cell.Method, cell.NativeLength, cell.Proof, cell.Protocols.Select(Perplexity),
        ByPosition(cell.Curve), Limit(cell.Limit), cell.Bounds.Select(Bound), ScalingLaw(cell.ScalingLaw));

    private static string Stage(bool isTuned) => isTuned ? "after" : "before";

    private static double?[]? Ends(Interval? interval) => interval is { } i ? [Finite(i.Low), Finite(i.High)] : null;

    private static double? Finite(double value) => double.IsFinite(value) ? value : null;

    private sealed record Cell(
        string Rope, string Stage, int? Cutoff, object? PriceAtNative,
        IEnumerable<object> AgainstTheCheckpoint, IEnumerable<object> AgainstBefore, IEnumerable<object> AgainstFirstMethod, TrainingCost? Training,
        string Model, string Method, int NativeLength, MethodProof? Proof, IEnumerable<object> Perplexity,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] object? ByPosition,
        [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] object? EffectiveContext,
        IEnumerable<object> Predicted, object? ScalingLaw);

    private sealed record Slope(
        string? Rope, double? Exponent, double?[]? ExponentInterval, [property: JsonPropertyName("tokens_at_cutoff_1")] double? AtOne,
        int? LimitsFitted, int? LimitsBeyondTheSweep);
}
