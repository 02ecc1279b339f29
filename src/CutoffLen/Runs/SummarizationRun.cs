using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Scoring;
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
    /// <param name="log">Keeps the summaries.</param>
    /// <param name="ranks">The ranks that share the documents; null for one.</param>
    /// <param name="progress">Told of every summary.</param>
    /// <param name="stop">Stops it between tokens.</param>
    /// <returns>The result, and the model under the position method.</returns>
    /// <exception cref="UserException">There is nothing to summarize.</exception>
    public (SummarizationResult Result, PositionedModel Model) Measure(
        ModelSession session, PositionSpec spec, ResultLog log, ICollectives? ranks = null, IProgress<ScoredSummary>? progress = null, CancellationToken stop = default)
    {
        if (Examples.Count == 0)
        {
            throw new UserException("there is no document to summarize");
        }

        var tokenizer = session.Folder.Tokenizer;
        var special = tokenizer.SpecialTokens;
        // A prompt goes on, so what the tokenizer puts after a text is left out.
        List<Prompt> prompts = [.. Examples.Select((example, n) => new Prompt(n, example, [.. special.Before, .. tokenizer.Encode(example.Prompt, addSpecial: false)]))];
        var model = session.Under(session.Folder.Config.SetupFor(spec, prompts.Max(prompt => prompt.Tokens.Length) + MaxNewTokens));
        var (ends, summaries) = (EndOf(session), new List<ScoredSummary>());
        foreach (var (prompt, logged) in session.Answers(model, log, ranks, stop).To(prompts, prompt => (prompt.Identity, TaskOf(prompt)), Summarize))
        {
            summaries.Add(prompt.Score(logged));
            progress?.Report(summaries[^1]);
        }

        return (new SummarizationResult(summaries), model);

        LoggedAnswer? Summarize(Prompt prompt)
        {
            var seed = (int)new KeyedRandom(Sampling.Seed, "summary", prompt.Number).Below(int.MaxValue);
            var sampler = new TokenSampler(model.Model, model.Layers, Sampling with { Seed = seed });
            List<int> tokens = [.. sampler.Continue(prompt.Tokens, MaxNewTokens, ends).TakeWhile(_ => !stop.IsCancellationRequested)];
            return stop.IsCancellationRequested ? null : prompt.Answer(TaskOf(prompt), tokens.Count, tokenizer.Decode(tokens, skipSpecial: true).Trim());
        }
    }

    // The number of a document decides its seed.
    private string TaskOf(Prompt prompt) => FormattableString.Invariant(
        $"summary {prompt.Number}, temperature {Sampling.Temperature}, top-p {Sampling.TopP}, seed {Sampling.Seed}, at most {MaxNewTokens} tokens");

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

    private sealed record Prompt(int Number, SummarizationExample Example, int[] Tokens)
    {
        public string Identity { get; } = EvaluationDocument.IdentityOf(Tokens);

        public LoggedAnswer Answer(string task, int tokens, string summary) => new(Identity, task, Tokens.Length, Number, [Example.Summary], summary) { Numbers = [tokens] };

        public ScoredSummary Score(LoggedAnswer answer) =>
            new(Example.Source, Example.Summary, answer.Text, Tokens.Length, answer.NumbersOf(1)[0], Rouge.Of(Example.Summary, answer.Text));
    }
}
