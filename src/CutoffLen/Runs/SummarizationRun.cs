using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Models;
using CutoffLen.Models.Llama;
using CutoffLen.Positions.Spec;

namespace CutoffLen.Runs;

/// <summary>
/// Summarizes documents and scores the summaries, as Position Interpolation does for GovReport (arXiv 2306.15595, section 3.5):
/// temperature 0.5, top-p 0.95, at most 1,000 tokens. The paper does not say how it computed ROUGE; see <see cref="Rouge"/>.
/// </summary>
/// <param name="Examples">The documents in their prompts.</param>
/// <param name="Sampling">How tokens are drawn. Each document has a seed of its own, derived from this one and its number.</param>
/// <param name="MaxNewTokens">The most tokens of a summary.</param>
public sealed record SummarizationRun(IReadOnlyList<SummarizationExample> Examples, Sampling Sampling, int MaxNewTokens = 1000)
{
    /// <summary>The paper's sampling.</summary>
    public static Sampling PaperSampling { get; } = new(Temperature: 0.5, TopP: 0.95);

    /// <summary>Summarizes every document.</summary>
    /// <param name="session">The model.</param>
    /// <param name="spec">Its position method, for the longest prompt with its summary.</param>
    /// <param name="progress">Told of every summary.</param>
    /// <param name="stop">Stops it between tokens.</param>
    /// <returns>The result, and the model under the position method.</returns>
    /// <exception cref="UserException">There is nothing to summarize.</exception>
    public (SummarizationResult Result, PositionedModel Model) Measure(
        ModelSession session, PositionSpec spec, IProgress<ScoredSummary>? progress = null, CancellationToken stop = default)
    {
        if (Examples.Count == 0)
        {
            throw new UserException("there is no document to summarize");
        }

        var tokenizer = session.Folder.Tokenizer;
        var special = tokenizer.SpecialTokens;
        // A prompt goes on, so what the tokenizer puts after a text is left out.
        List<int[]> prompts = [.. Examples.Select(example => (int[])[.. special.Before, .. tokenizer.Encode(example.Prompt, addSpecial: false)])];
        var model = session.Under(session.Folder.Config.SetupFor(spec, prompts.Max(prompt => prompt.Length) + MaxNewTokens));
        var (ends, summaries) = (EndOf(session), new List<ScoredSummary>());
        foreach (var (n, example) in Examples.Index())
        {
            var seed = (int)new KeyedRandom(Sampling.Seed, "summary", n).Below(int.MaxValue);
            var tokens = new List<int>();
            foreach (var token in new TokenSampler(model.Model, model.Layers, Sampling with { Seed = seed }).Continue(prompts[n], MaxNewTokens, ends))
            {
                stop.ThrowIfCancellationRequested();
                tokens.Add(token);
            }

            var summary = tokenizer.Decode(tokens, skipSpecial: true).Trim();
            summaries.Add(new ScoredSummary(example.Source, example.Summary, summary, prompts[n].Length, tokens.Count, Rouge.Of(example.Summary, summary)));
            progress?.Report(summaries[^1]);
        }

        return (new SummarizationResult(summaries), model);
    }

    /// <summary>The tokens that end a summary: the checkpoint's, and the tokenizer's EOS, which training puts after a completion.</summary>
    private static HashSet<int> EndOf(ModelSession session)
    {
        var ends = session.Folder.Checkpoint.EosTokenIds.ToHashSet();
        if (session.Folder.Tokenizer.SpecialTokens.Eos is { } eos)
        {
            ends.Add(eos);
        }

        return ends;
    }
}
