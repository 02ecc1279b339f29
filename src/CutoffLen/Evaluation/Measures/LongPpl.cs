using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Measures;

/// <summary>Which tokens LongPPL calls key tokens.</summary>
/// <param name="TruncatedLength">Context of the short reading, in tokens: the first so many tokens are never key.</param>
/// <param name="SlidingWindow">Tokens that one short reading scores.</param>
/// <param name="Alpha">A key token's NLL falls by more than this with the full context, nats.</param>
/// <param name="Beta">A key token's NLL with the full context is below minus this, nats.</param>
public sealed record LongPplSettings(int TruncatedLength = 4096, int SlidingWindow = 1024, double Alpha = 2, double Beta = -2);

/// <summary>LongPPL of one text.</summary>
/// <param name="LongPerplexity">exp of the mean NLL of the key tokens; null when there are none.</param>
/// <param name="Perplexity">exp of the mean NLL of all tokens.</param>
/// <param name="KeyTokens">Indices of the key tokens in the text.</param>
/// <param name="Tokens">Tokens of the text.</param>
/// <param name="KeyNll">Sum of the key tokens' NLL, nats.</param>
public sealed record LongPplResult(double? LongPerplexity, double Perplexity, IReadOnlyList<int> KeyTokens, int Tokens, double KeyNll);

/// <summary>LongPPL over texts: every key token counts the same.</summary>
/// <param name="LongPerplexity">exp of the mean NLL of the key tokens; null when there are none.</param>
/// <param name="KeyTokens">Key tokens found.</param>
/// <param name="Tokens">Tokens searched.</param>
/// <param name="Texts">Texts long enough.</param>
/// <param name="Settings">What makes a token key.</param>
public sealed record LongPplSummary(double? LongPerplexity, int KeyTokens, long Tokens, int Texts, LongPplSettings Settings);

/// <summary>
/// LongPPL (arXiv 2410.23771): perplexity over the tokens that need the long context. An evaluator, the measured model
/// itself or a stronger one with the same tokenizer, finds them: tokens that it predicts well with all of the context and
/// much worse with the last <see cref="LongPplSettings.TruncatedLength"/> tokens of it (equations 4 to 6).
/// </summary>
/// <remarks>
/// As PKU-ML/LongPPL's longppl.py computes it: short readings begin every SlidingWindow tokens, read TruncatedLength +
/// SlidingWindow tokens and score the last SlidingWindow of them; the last one is cut to the text's end. The evaluator's
/// key tokens are mapped by character there; here both models read the same tokens.
/// </remarks>
public static class LongPpl
{
    /// <summary>The key tokens of a text, by index, ascending.</summary>
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

    /// <summary>LongPPL of a text under a model, with the key tokens that <see cref="KeyTokens"/> found.</summary>
    public static LongPplResult Measure(INllScorer model, int[] tokens, IReadOnlyList<int> keys)
    {
        var nll = All(model, tokens);
        var sum = keys.Sum(key => (double)nll[key - 1]);
        return new LongPplResult(
            keys.Count == 0 ? null : Math.Exp(sum / keys.Count), Math.Exp(nll.Average(n => (double)n)), keys, tokens.Length, sum);
    }

    /// <summary>LongPPL of texts under a model that is its own evaluator.</summary>
    /// <param name="model">The model.</param>
    /// <param name="texts">The texts; those that the short context holds whole are left out.</param>
    /// <param name="longest">Tokens that are read of a text.</param>
    /// <param name="settings">What makes a token key.</param>
    /// <param name="stop">Stops it between texts.</param>
    public static LongPplSummary Measure(
        INllScorer model, IEnumerable<EvaluationText> texts, int longest, LongPplSettings settings, CancellationToken stop = default)
    {
        var results = new List<LongPplResult>();
        foreach (var text in texts.Where(text => text.Tokens.Length > settings.TruncatedLength))
        {
            stop.ThrowIfCancellationRequested();
            var tokens = text.Tokens[..Math.Min(longest, text.Tokens.Length)];
            results.Add(Measure(model, tokens, KeyTokens(model, tokens, settings)));
        }

        var keys = results.Sum(r => r.KeyTokens.Count);
        return new LongPplSummary(keys == 0 ? null : Math.Exp(results.Sum(r => r.KeyNll) / keys), keys, results.Sum(r => (long)r.Tokens), results.Count, settings);
    }

    private static float[] All(INllScorer scorer, int[] tokens) => scorer.Nll([Request(tokens, 0, tokens.Length, 1)])[0];

    private static ScoringRequest Request(int[] tokens, int start, int end, int firstTarget) => new(
        tokens[start..end], [.. Enumerable.Range(firstTarget - 1 - start, end - firstTarget)], tokens[firstTarget..end]);
}
