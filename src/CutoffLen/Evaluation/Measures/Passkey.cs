using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Measures;

/// <summary>Passkey retrieval at one length and depth.</summary>
/// <param name="Length">Prompt with answer, tokens.</param>
/// <param name="Depth">0 at the beginning of the prompt, 1 at its end.</param>
/// <param name="Distance">Mean number of tokens from the key to the end of the prompt.</param>
/// <param name="Trials">Keys tried.</param>
/// <param name="Found">Keys that greedy decoding gave.</param>
/// <param name="MeanRank">Mean rank of the key's likelihood among itself and the alternatives, 1 the best.</param>
/// <param name="Candidates">The key and its alternatives: guessing gives a mean rank of (Candidates + 1) / 2.</param>
public sealed record PasskeyCell(int Length, double Depth, double Distance, int Trials, int Found, double MeanRank, int Candidates)
{
    /// <summary>Share of keys found.</summary>
    public double Accuracy => (double)Found / Trials;
}

/// <summary>Passkey retrieval over lengths and depths.</summary>
/// <param name="Cells">By length, then depth.</param>
public sealed record PasskeyResult(IReadOnlyList<PasskeyCell> Cells)
{
    /// <summary>The share of found keys that k_max asks for.</summary>
    public const double LeastAccuracy = 0.2;

    /// <summary>
    /// k_max of Position Interpolation (arXiv 2306.15595, section 3.3) for prompts of a length: the largest distance k such
    /// that keys at every distance up to k are found at least 20% of the time. 0 when the nearest key is not.
    /// </summary>
    public double LargestDistance(int length) => Cells
        .Where(cell => cell.Length == length)
        .OrderBy(cell => cell.Distance)
        .TakeWhile(cell => cell.Accuracy >= LeastAccuracy)
        .Select(cell => cell.Distance)
        .DefaultIfEmpty(0)
        .Last();
}

/// <summary>
/// Passkey retrieval: a key is hidden at some depth of filler text and asked for at its end. A key is found when
/// greedy decoding begins with it. The key's likelihood is also ranked among those of other keys, which shows whether a
/// model too small to answer sees the key.
/// </summary>
/// <param name="Lengths">Prompt lengths, tokens.</param>
/// <param name="Depths">How many depths, spread evenly from 0 to 1.</param>
/// <param name="Trials">Keys for each length and depth.</param>
/// <param name="Alternatives">Other keys in the ranking.</param>
/// <param name="Seed">Seed of the keys, the same keys for every model and method.</param>
/// <param name="Form">What the keys are.</param>
public sealed record Passkey(IReadOnlyList<int> Lengths, int Depths = 10, int Trials = 5, int Alternatives = 19, int Seed = 0, PasskeyForm Form = PasskeyForm.Passkey)
{
    /// <summary>Runs every length and depth; reports each cell as it finishes. Ranks share the keys of a length.</summary>
    public PasskeyResult Run(
        IAnswerScorer model, Func<string, int[]> encode, Func<int[], string> decode, IProgress<PasskeyCell>? progress = null, ICollectives? ranks = null,
        CancellationToken cancel = default)
    {
        ranks ??= SingleRank.Instance;
        var cells = new List<PasskeyCell>();
        var places = Lengths.SelectMany(length => Enumerable.Range(0, Depths).Select(depth => (Length: length, Depth: depth)));
        foreach (var round in places.Chunk(ranks.Size == 1 ? 1 : Depths))
        {
            var keys = round.SelectMany(place => Enumerable.Range(0, Trials).Select(trial => (place.Length, place.Depth, Trial: trial)));
            var own = keys.Select((key, n) => n % ranks.Size == ranks.Rank && !cancel.IsCancellationRequested
                ? Try(model, encode, decode, key.Length, At(key.Depth), new KeyedRandom(Seed, "passkey", key.Length, key.Depth, key.Trial))
                : default);
            var tried = ranks.Sum([.. own.SelectMany(trial => trial.Numbers)]).Chunk(Trial.Count).Select(Trial.Of);
            if (ranks.Any(cancel.IsCancellationRequested))
            {
                throw new OperationCanceledException(cancel);
            }

            foreach (var (place, trials) in round.Zip(tried.Chunk(Trials)))
            {
                var cell = new PasskeyCell(
                    place.Length, At(place.Depth), trials.Average(t => t.Distance), Trials, trials.Sum(t => t.Found), trials.Average(t => t.Rank), trials.Max(t => t.Candidates));
                cells.Add(cell);
                progress?.Report(cell);
            }
        }

        return new PasskeyResult(cells);
    }

    private double At(int depth) => Depths == 1 ? 0.5 : (double)depth / (Depths - 1);

    private Trial Try(
        IAnswerScorer model, Func<string, int[]> encode, Func<int[], string> decode, int length, double depth, KeyedRandom random)
    {
        // A cell's keys do not depend on which other lengths and depths are measured.
        var keys = new List<string>();
        while (keys.Count <= Alternatives)
        {
            var key = PasskeyPrompt.Draw(Form, ref random);
            if (!keys.Contains(key))
            {
                keys.Add(key);
            }
        }

        var prompt = PasskeyPrompt.Of(length, depth, keys[0], encode, Form);
        var others = PasskeyPrompt.Alternatives(prompt, keys.Skip(1), encode);
        var scores = model.Answer(prompt.Prompt, prompt.Answer.Length, [prompt.Answer, .. others]);
        var found = scores.Decoded.AsSpan().StartsWith(prompt.Answer) || decode(scores.Decoded).TrimStart().StartsWith(keys[0], StringComparison.Ordinal);
        return new Trial(found ? 1 : 0, 1 + scores.Nll.Skip(1).Count(nll => nll < scores.Nll[0]), scores.Nll.Length, prompt.Distance);
    }

    /// <summary>One key: whether it was found (1 or 0), its rank among the candidates, and its distance.</summary>
    private readonly record struct Trial(int Found, int Rank, int Candidates, int Distance)
    {
        public const int Count = 4;

        public double[] Numbers => [Found, Rank, Candidates, Distance];

        public static Trial Of(double[] numbers) => new((int)numbers[0], (int)numbers[1], (int)numbers[2], (int)numbers[3]);
    }
}
