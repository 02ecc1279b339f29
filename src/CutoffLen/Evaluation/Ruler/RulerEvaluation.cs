using CutoffLen.Common;
using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Ruler;

/// <summary>How far an evaluation is.</summary>
/// <param name="Done">Samples answered, those of an earlier run included.</param>
/// <param name="Cell">The task and length that is measured.</param>
public readonly record struct RulerProgress(int Done, string Cell);

/// <summary>
/// Runs RULER's tasks over lengths. The haystack of each prompt is the largest with which the prompt, its special tokens and the
/// answer fit the length. A sample depends on the seed, the task, the length, its number and the tokenizer.
/// </summary>
/// <param name="tasks">The tasks.</param>
/// <param name="lengths">Tokens of prompt and answer, ascending.</param>
/// <param name="samples">Samples of each task and length; RULER has 500.</param>
/// <param name="seed">Seed of the samples.</param>
/// <param name="encode">Tokens of a text, with the special tokens that the tokenizer puts before it.</param>
public sealed class RulerEvaluation(IReadOnlyList<RulerTask> tasks, IReadOnlyList<int> lengths, int samples, int seed, Func<string, int[]> encode)
{
    /// <summary>Samples of all tasks and lengths.</summary>
    public int Total => tasks.Count * lengths.Count * samples;

    /// <summary>Asks and scores every sample.</summary>
    /// <param name="answers">Keeps the answers and shares the samples among ranks.</param>
    /// <param name="answer">The text after a prompt's tokens, of at most so many tokens.</param>
    /// <param name="progress">Told of each sample.</param>
    /// <exception cref="UserException">The smallest prompt of a task does not fit a length, or its largest does not fill it.</exception>
    public RulerResult Run(SharedAnswers answers, Func<int[], int, string> answer, IProgress<RulerProgress>? progress = null)
    {
        // All sizes first: a length that is too short should not be found out after hours.
        var cells = lengths.SelectMany(length => tasks.Select(task => (Task: task, Length: length, Size: Fit(task, length)))).ToList();
        var done = 0;
        return new RulerResult([.. cells.Select(cell => new RulerCell(cell.Task.Name, cell.Length, [.. Scores(cell.Task, cell.Length, cell.Size)]))]);

        IEnumerable<double> Scores(RulerTask task, int length, int size)
        {
            var prompts = Enumerable.Range(0, samples).Select(n => Draw(task, length, size, n));
            foreach (var (prompt, logged) in answers.To(prompts, p => (p.Identity, task.Name), p => new LoggedAnswer(
                p.Identity, task.Name, length, p.Number, p.Sample.Answers, answer(p.Tokens, task.TokensToGenerate))))
            {
                progress?.Report(new RulerProgress(++done, $"{task.Name}, {Lengths.Format(length)}"));
                yield return prompt.Sample.Score(logged.Text);
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
