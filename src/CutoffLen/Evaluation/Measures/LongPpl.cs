using CutoffLen.Distributed;
using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Measures;

/// <summary>Which tokens LongPPL calls key tokens.</summary>
/// <param name="TruncatedLength">Context of the short reading, in tokens; the first tokens up to it are never key tokens.</param>
/// <param name="SlidingWindow">Tokens that one short reading scores.</param>
/// <param name="Alpha">The full context lowers a key token's NLL by more than this, nats.</param>
/// <param name="Beta">With the full context a key token's log-likelihood is above this, nats.</param>
public sealed record LongPplSettings(int TruncatedLength = 4096, int SlidingWindow = 1024, double Alpha = 2, double Beta = -2);

/// <summary>LongPPL of one document.</summary>
/// <param name="LongPerplexity">exp of the mean NLL of the key tokens; null when there are none.</param>
/// <param name="Perplexity">exp of the mean NLL of all tokens.</param>
/// <param name="KeyTokens">Indices of the key tokens in the document.</param>
/// <param name="Tokens">Tokens of the document.</param>
/// <param name="KeyNll">Sum of the key tokens' NLL, nats.</param>
public sealed record LongPplResult(double? LongPerplexity, double Perplexity, IReadOnlyList<int> KeyTokens, int Tokens, double KeyNll);

/// <summary>LongPPL over documents: every key token counts the same.</summary>
/// <param name="LongPerplexity">exp of the mean NLL of the key tokens; null when there are none.</param>
/// <param name="KeyTokens">Key tokens found.</param>
/// <param name="Tokens">Tokens searched.</param>
/// <param name="Documents">Documents long enough.</param>
/// <param name="Settings">What makes a token a key token.</param>
public sealed record LongPplSummary(double? LongPerplexity, int KeyTokens, long Tokens, int Documents, LongPplSettings Settings);

/// <summary>
/// LongPPL (arXiv 2410.23771): perplexity over the tokens that need the long context, the key tokens. An evaluator finds
/// them: the measured model itself or a stronger one with the same tokenizer. It predicts a key token well with the full
/// context and much worse with the last <see cref="LongPplSettings.TruncatedLength"/> tokens of it (equations 4 to 6).
/// </summary>
/// <remarks>
/// As PKU-ML/LongPPL's longppl.py computes it. Short readings begin every SlidingWindow tokens, read TruncatedLength +
/// SlidingWindow tokens and score the last SlidingWindow of them. The last one is cut to the document's end. The script
/// maps the evaluator's key tokens by character; here both models read the same tokens.
/// </remarks>
public static class LongPpl
{
    /// <summary>LongPPL of a model that is its own evaluator, over the documents longer than the short context.</summary>
    /// <param name="model">The model.</param>
    /// <param name="documents">The documents; shorter ones are left out.</param>
    /// <param name="longest">Of each document only the first tokens up to here are read.</param>
    /// <param name="shorter">The short context, tokens; short readings score a quarter of it.</param>
    /// <param name="ranks">The ranks that share the documents; null for one.</param>
    /// <param name="cancel">Stops it between documents.</param>
    public static LongPplSummary Measure(
        INllScorer model, IReadOnlyList<EvaluationDocument> documents, int longest, int shorter, ICollectives? ranks = null, CancellationToken cancel = default)
    {
        var settings = new LongPplSettings(shorter, Math.Max(1, shorter / 4));
        var read = documents.Where(document => document.Tokens.Length > shorter).Select(document => document.Tokens[..Math.Min(longest, document.Tokens.Length)]).ToList();
        var (keys, nll) = (new double[read.Count], new double[read.Count]); // by document
        ranks ??= SingleRank.Instance;
        for (var n = ranks.Rank; n < read.Count; n += ranks.Size)
        {
            cancel.ThrowIfCancellationRequested();
            var result = Measure(model, read[n], KeyTokens(model, read[n], settings));
            (keys[n], nll[n]) = (result.KeyTokens.Count, result.KeyNll);
        }

        var count = (int)ranks.Sum(keys).Sum();
        return new LongPplSummary(count == 0 ? null : Math.Exp(ranks.Sum(nll).Sum() / count), count, read.Sum(tokens => (long)tokens.Length), read.Count, settings);
    }

    /// <summary>The key tokens of a document, by index, ascending.</summary>
    public static IReadOnlyList<int> KeyTokens(INllScorer evaluator, int[] tokens, LongPplSettings settings)
    {
        var full = All(evaluator, tokens);
        var keys = new List<int>();
        for (var start = 0; start < tokens.Length - settings.TruncatedLength; start += settings.SlidingWindow)
        {
            var first = start + settings.TruncatedLength;
            var end = Math.Min(first + settings.SlidingWindow, tokens.Length);
            var reading = evaluator.Nll([Request(tokens, start, end, first)])[0];
            for (var target = first; target < end; target++)
            {
                if (reading[target - first] - full[target - 1] > settings.Alpha && full[target - 1] < -settings.Beta)
                {
                    keys.Add(target);
                }
            }
        }

        return keys;
    }

    /// <summary>LongPPL of a document under a model, with the key tokens that <see cref="KeyTokens"/> found.</summary>
    public static LongPplResult Measure(INllScorer model, int[] tokens, IReadOnlyList<int> keys)
    {
        var nll = All(model, tokens);
        var sum = keys.Sum(key => (double)nll[key - 1]);
        return new LongPplResult(
            keys.Count == 0 ? null : Math.Exp(sum / keys.Count), Math.Exp(nll.Average(n => (double)n)), keys, tokens.Length, sum);
    }

    private static float[] All(INllScorer scorer, int[] tokens) => scorer.Nll([Request(tokens, 0, tokens.Length, 1)])[0];

    private static ScoringRequest Request(int[] tokens, int start, int end, int firstTarget) => new(
        tokens[start..end], [.. Enumerable.Range(firstTarget - 1 - start, end - firstTarget)], tokens[firstTarget..end]);
}
