using CutoffLen.Common;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation;

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
    /// <summary>Runs every length and depth.</summary>
    /// <param name="model">The model under a position method.</param>
    /// <param name="encode">Tokens of a text, with the special tokens that the tokenizer puts before it.</param>
    /// <param name="decode">Text of tokens.</param>
    /// <param name="answers">Keeps the answers and shares the keys among ranks.</param>
    /// <param name="progress">Told of each cell.</param>
    /// <exception cref="UserException">A length is too short.</exception>
    public PasskeyResult Run(
        IAnswerScorer model, Func<string, int[]> encode, Func<int[], string> decode, SharedAnswers answers, IProgress<PasskeyCell>? progress = null)
    {
        var cells = new List<PasskeyCell>();
        var keys = Lengths.SelectMany(length => Enumerable.Range(0, Depths).SelectMany(depth => Enumerable.Range(0, Trials).Select(trial => Draw(length, depth, trial, encode))));
        foreach (var tried in answers.To(keys, key => (key.Identity, key.Task), key => Try(model, encode, decode, key)).Chunk(Trials))
        {
            var (hidden, trials) = (tried[0].Prompt, Array.ConvertAll(tried, pair => Trial.Of(pair.Answer)));
            var cell = new PasskeyCell(
                hidden.Length, hidden.Depth, trials.Average(t => t.Distance), Trials, trials.Sum(t => t.Found), trials.Average(t => t.Rank), trials.Max(t => t.Candidates));
            cells.Add(cell);
            progress?.Report(cell);
        }

        return new PasskeyResult(cells);
    }

    private HiddenKey Draw(int length, int depth, int trial, Func<string, int[]> encode)
    {
        // A cell's keys do not depend on which other lengths and depths are measured.
        var random = new KeyedRandom(Seed, "passkey", length, depth, trial);
        var keys = new List<string>();
        while (keys.Count <= Alternatives)
        {
            var key = PasskeyPrompt.Draw(Form, ref random);
            if (!keys.Contains(key))
            {
                keys.Add(key);
            }
        }

        // Not of the prompt itself, which takes many encodings to fit to its length.
        var identity = EvaluationDocument.IdentityOf(encode(string.Join(' ', [PasskeyPrompt.Filler, .. keys])));
        return new HiddenKey(Form, length, Depths == 1 ? 0.5 : (double)depth / (Depths - 1), trial, keys, identity);
    }

    private static LoggedAnswer Try(IAnswerScorer model, Func<string, int[]> encode, Func<int[], string> decode, HiddenKey hidden)
    {
        var key = hidden.Candidates[0];
        var prompt = PasskeyPrompt.Of(hidden.Length, hidden.Depth, key, encode, hidden.Form);
        var others = PasskeyPrompt.Alternatives(prompt, hidden.Candidates.Skip(1), encode);
        var scores = model.Answer(prompt.Prompt, prompt.Answer.Length, [prompt.Answer, .. others]);
        var text = decode(scores.Decoded);
        var found = scores.Decoded.AsSpan().StartsWith(prompt.Answer) || text.TrimStart().StartsWith(key, StringComparison.Ordinal);
        var trial = new Trial(found ? 1 : 0, 1 + scores.Nll.Skip(1).Count(nll => nll < scores.Nll[0]), scores.Nll.Length, prompt.Distance);
        return new LoggedAnswer(hidden.Identity, hidden.Task, hidden.Length, hidden.Trial, [key], text) { Numbers = trial.Numbers };
    }

    /// <summary>A key to hide, the first of the candidates.</summary>
    private sealed record HiddenKey(PasskeyForm Form, int Length, double Depth, int Trial, IReadOnlyList<string> Candidates, string Identity)
    {
        public string Task { get; } = FormattableString.Invariant($"{Form}, {Length} tokens, depth {Depth}");
    }

    /// <summary>One key: whether it was found (1 or 0), its rank among the candidates, and its distance.</summary>
    private readonly record struct Trial(int Found, int Rank, int Candidates, int Distance)
    {
        public int[] Numbers => [Found, Rank, Candidates, Distance];

        public static Trial Of(LoggedAnswer answer)
        {
            var numbers = answer.NumbersOf(4);
            return new(numbers[0], numbers[1], numbers[2], numbers[3]);
        }
    }
}
