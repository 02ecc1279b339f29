using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Ruler;

/// <summary>How far an evaluation is.</summary>
/// <param name="Done">Samples answered, those of an earlier run included.</param>
/// <param name="Reused">Samples whose answers an earlier run left.</param>
/// <param name="Cell">The task and length that is measured.</param>
public readonly record struct RulerProgress(int Done, int Reused, string Cell);

/// <summary>
/// Runs RULER's tasks over lengths. The haystack of each prompt is the largest with which the prompt, its special tokens and the
/// answer fit the length. Ranks share the samples, and every rank logs all answers. A sample depends on the seed, the task, the
/// length, its number and the tokenizer.
/// </summary>
/// <param name="tasks">The tasks.</param>
/// <param name="lengths">Tokens of prompt and answer, ascending.</param>
/// <param name="samples">Samples of each task and length; RULER has 500.</param>
/// <param name="seed">Seed of the samples.</param>
/// <param name="encode">Tokens of a text, with the special tokens that the tokenizer puts before it.</param>
/// <param name="log">Keeps the answers.</param>
/// <param name="ranks">The ranks that share the samples; null for one.</param>
public sealed class RulerEvaluation(
    IReadOnlyList<RulerTask> tasks, IReadOnlyList<int> lengths, int samples, int seed, Func<string, int[]> encode, ResultLog log, ICollectives? ranks = null)
{
    private readonly ICollectives ranks = ranks ?? SingleRank.Instance;

    /// <summary>Samples of all tasks and lengths.</summary>
    public int Total => tasks.Count * lengths.Count * samples;

    /// <summary>Answers what the log lacks of a run.</summary>
    /// <param name="run">What the answers depend on besides the prompts.</param>
    /// <param name="answer">The text after a prompt's tokens, of at most so many tokens.</param>
    /// <param name="progress">Told after each round of samples.</param>
    /// <param name="cancel">Stops it between samples.</param>
    /// <exception cref="UserException">The smallest prompt of a task does not fit a length, or its largest does not fill it.</exception>
    public RulerResult Run(RunKey run, Func<int[], int, string> answer, IProgress<RulerProgress>? progress = null, CancellationToken cancel = default)
    {
        // All sizes first: a length that is too short should not be found out after hours.
        var cells = lengths.SelectMany(length => tasks.Select(task => (Task: task, Length: length, Size: Fit(task, length)))).ToList();
        ranks.RequireSame([$"model {run.Model}", $"positions {run.Positions}", .. cells.Select(cell => $"{cell.Task.Name} prompt {Draw(cell.Task, cell.Length, cell.Size, 0).Identity}")]);
        var (done, reused) = (0, 0);
        return new RulerResult([.. cells.Select(cell => new RulerCell(cell.Task.Name, cell.Length, [.. Scores(cell.Task, cell.Length, cell.Size)]))]);

        IEnumerable<double> Scores(RulerTask task, int length, int size)
        {
            foreach (var round in Enumerable.Range(0, samples).Select(n => Draw(task, length, size, n)).Chunk(ranks.Size))
            {
                if (ranks.Any(cancel.IsCancellationRequested))
                {
                    throw new OperationCanceledException(cancel);
                }

                var known = Array.ConvertAll(round, prompt => log.Answer(run, prompt.Identity, task.Name));
                var isKnown = known.All(text => text is not null);
                var texts = isKnown ? known : ranks.Gather(ranks.Rank < round.Length ? known[ranks.Rank] ?? answer(round[ranks.Rank].Tokens, task.TokensToGenerate) : "");
                foreach (var (prompt, text) in round.Zip(texts))
                {
                    log.Append(run, new LoggedAnswer(prompt.Identity, task.Name, length, prompt.Number, prompt.Sample.Answers, text!));
                    yield return prompt.Sample.Score(text!);
                }

                (done, reused) = (done + round.Length, reused + (isKnown ? round.Length : 0));
                progress?.Report(new RulerProgress(done, reused, $"{task.Name}, {Lengths.Format(length)}"));
            }
        }
    }

    /// <summary>The largest size with which the first sample fits.</summary>
    private int Fit(RulerTask task, int length)
    {
        var (least, most) = task.Sizes;
        int Tokens(int size) => Draw(task, length, size, 0).Tokens.Length + task.TokensToGenerate;
        if (Tokens(least) is var needed && needed > length)
        {
            throw TooShort(task, length, needed);
        }

        var fits = Bisection.Largest(least, most, size => Tokens(size) <= length);
        return fits < most ? fits : throw new UserException($"task {task.Name} has too few words to fill {length} tokens");
    }

    /// <summary>A sample; where its prompt is longer than the first sample's and does not fit, with a smaller haystack.</summary>
    private Prompt Draw(RulerTask task, int length, int size, int number)
    {
        while (true)
        {
            var sample = task.Draw(size, length, new KeyedRandom(seed, $"ruler {task.Name}", length, number));
            var tokens = encode(sample.Prompt);
            var needed = tokens.Length + task.TokensToGenerate;
            if (number == 0 || needed <= length)
            {
                return new Prompt(number, sample, tokens);
            }

            size = size > task.Sizes.Least ? Math.Max(task.Sizes.Least, size - Math.Max(1, size / 64)) : throw TooShort(task, length, needed);
        }
    }

    private static UserException TooShort(RulerTask task, int length, int needed) =>
        new($"task {task.Name} has prompts of {needed} tokens at least with this tokenizer, answer included; {length} are too few");

    private sealed record Prompt(int Number, RulerSample Sample, int[] Tokens)
    {
        public string Identity { get; } = EvaluationDocument.IdentityOf(Tokens);
    }
}
