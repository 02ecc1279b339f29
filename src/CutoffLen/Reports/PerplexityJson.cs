using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Reports;

/// <summary>
/// <c>ppl.json</c>: everything a sweep measured and everything that says how. Lengths and positions are tokens, NLL is
/// nats; an interval is [low, high], null where a single unit gives none; an end of an effective context's interval that
/// lies beyond the sweep is null.
/// </summary>
public static class PerplexityJson
{
    internal static readonly JsonSerializerOptions Options = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The file's text.</summary>
    public static string Text(PerplexityReport report) => Of(report).ToJsonString(Options) + "\n";

    /// <summary>The same as a tree.</summary>
    public static JsonObject Of(PerplexityReport report) => new()
    {
        ["program"] = report.Program,
        ["made"] = report.Made.ToString("O"),
        ["dtype"] = report.Dtype,
        ["settings"] = new JsonObject(report.Settings.Select(s => KeyValuePair.Create(s.Name, (JsonNode?)s.Value))),
        ["protocols"] = Array(report.Protocols, Protocol),
        ["lengths"] = Array(report.Lengths, length => length),
        ["documents"] = Documents(report.Corpus),
        ["results"] = Array(report.Measured, Measured),
        ["comparisons"] = Array(report.Comparisons, c => new JsonObject
        {
            ["model"] = c.Model,
            ["method"] = c.Method,
            ["baseline_model"] = report.Measured[0].Model,
            ["baseline_method"] = report.Measured[0].Method,
            ["protocol"] = c.Protocol,
            ["differences"] = Differences(c.Differences),
        }),
        ["notes"] = Array(report.Notes, note => note),
    };

    internal static JsonObject Measured(MeasuredMethod measured) => new()
    {
        ["model"] = measured.Model,
        ["method"] = measured.Method,
        ["native_length"] = measured.NativeLength,
        ["proof"] = Proof(measured.Proof),
        ["perplexity"] = Array(measured.Protocols, protocol => new JsonObject
        {
            ["protocol"] = protocol.Protocol,
            ["interval_unit"] = protocol.Unit,
            ["lengths"] = Array(protocol.Lengths, Length),
        }),
        ["by_position"] = measured.Curve is { } curve ? Curve(curve) : null,
        ["effective_context"] = measured.Curve is { } c ? Limit(c.EffectiveContext) : null,
        ["predicted"] = Array(measured.Bounds, b => new JsonObject { ["name"] = b.Name, ["tokens"] = Finite(b.Tokens), ["source"] = b.Source }),
        ["passkey"] = measured.Passkey is { } passkey ? Passkey(passkey) : null,
        ["longppl"] = measured.LongPpl is { } longPpl ? LongPpl(longPpl) : null,
        ["attention_resolution"] = measured.AttentionResolution is { } layers
            ? new JsonObject { ["mean"] = layers.Average(), ["layers"] = Array(layers, r => r) }
            : null,
    };

    internal static JsonObject Protocol(ProtocolNote note) => new() { ["name"] = note.Name, ["definition"] = note.Definition, ["text_start"] = note.TextStart };

    internal static JsonObject Documents(Corpus corpus) => new()
    {
        ["sources"] = Array(corpus.Sources, s => s),
        ["count"] = corpus.Texts,
        ["tokens"] = corpus.Tokens,
        ["bytes"] = corpus.Bytes,
        ["longest_tokens"] = corpus.LongestTokens,
    };

    internal static JsonObject? Proof(MethodProof? proof) => proof is null
        ? null
        : new() { ["table_hash"] = proof.TableHash, ["largest_logit_difference"] = proof.LargestLogitDifference };

    internal static JsonArray Differences(IReadOnlyList<PairedDifference> differences) => Array(differences, d => new JsonObject
    {
        ["length"] = d.Length,
        ["nll"] = d.Nats,
        ["nll_interval"] = Interval(d.Interval),
        ["perplexity_ratio"] = d.PerplexityRatio,
        ["significant"] = d.IsSignificant,
    });

    internal static JsonArray? Interval(Interval? interval) => interval is { } i ? [Finite(i.Low), Finite(i.High)] : null;

    internal static JsonArray Array<T>(IReadOnlyList<T> items, Func<T, JsonNode?> node) => [.. items.Select(node)];

    private static JsonObject Length(LengthResult result) => new()
    {
        ["length"] = result.Length,
        ["perplexity"] = result.Perplexity,
        ["perplexity_interval"] = Interval(result.PerplexityInterval),
        ["nll"] = result.MeanNll,
        ["nll_interval"] = Interval(result.Interval),
        ["documents"] = result.Texts,
        ["documents_left_out"] = result.TextsLeftOut,
        ["tokens_scored"] = result.Tokens,
        ["windows"] = result.Windows,
        ["gain"] = result.Gain is { } gain
            ? new JsonObject { ["over_length"] = gain.From, ["nll"] = gain.Nats, ["nll_interval"] = Interval(gain.Interval), ["tokens"] = gain.Tokens }
            : null,
        ["word_perplexity"] = result.PerWordAndByte?.WordPerplexity,
        ["byte_perplexity"] = result.PerWordAndByte?.BytePerplexity,
        ["bits_per_byte"] = result.PerWordAndByte?.BitsPerByte,
    };

    private static JsonObject Curve(PositionCurve curve) => new()
    {
        ["window"] = curve.Length,
        ["windows"] = curve.Windows,
        ["interval_unit"] = curve.Unit,
        ["buckets"] = Array(curve.Points, p => new JsonObject
        {
            ["from"] = p.From, ["to"] = p.To, ["nll"] = p.Nll, ["nll_interval"] = Interval(p.Interval), ["tokens"] = p.Tokens,
        }),
    };

    private static JsonObject Limit(EffectiveContextLimit limit) => new()
    {
        ["tokens"] = limit.Tokens,
        ["text"] = limit.ToString(),
        ["at_least"] = limit.Tokens is null ? limit.Swept : null,
        ["interval"] = Interval(limit.Interval),
        ["delta"] = limit.Delta,
    };

    internal static JsonObject Passkey(PasskeyResult passkey) => new()
    {
        ["cells"] = Array(passkey.Cells, cell => new JsonObject
        {
            ["length"] = cell.Length,
            ["depth"] = cell.Depth,
            ["distance"] = cell.Distance,
            ["trials"] = cell.Trials,
            ["found"] = cell.Found,
            ["accuracy"] = cell.Accuracy,
            ["mean_rank"] = cell.MeanRank,
            ["candidates"] = cell.Candidates,
        }),
        ["k_max"] = Array([.. passkey.Cells.Select(c => c.Length).Distinct()], length => new JsonObject
        {
            ["length"] = length, ["tokens"] = passkey.LargestDistance(length),
        }),
    };

    private static JsonObject LongPpl(LongPplSummary summary) => new()
    {
        ["long_perplexity"] = summary.LongPerplexity,
        ["key_tokens"] = summary.KeyTokens,
        ["tokens"] = summary.Tokens,
        ["documents"] = summary.Texts,
        ["truncated_length"] = summary.Settings.TruncatedLength,
        ["sliding_window"] = summary.Settings.SlidingWindow,
        ["alpha"] = summary.Settings.Alpha,
        ["beta"] = summary.Settings.Beta,
    };

    private static JsonNode? Finite(double value) => double.IsFinite(value) ? value : null;
}
