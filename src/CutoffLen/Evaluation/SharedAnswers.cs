using System.Text.Json;
using CutoffLen.Common;
using CutoffLen.Distributed;

namespace CutoffLen.Evaluation;

/// <summary>
/// A model's answers to prompts. What the log has is not asked again. Ranks share the other prompts, one each in a round, and every
/// rank logs all answers.
/// </summary>
/// <param name="run">What the answers depend on besides the prompts.</param>
/// <param name="log">Keeps the answers.</param>
/// <param name="ranks">The ranks that share the prompts; null for one.</param>
/// <param name="cancel">Stops it between rounds.</param>
public sealed class SharedAnswers(RunKey run, ResultLog log, ICollectives? ranks = null, CancellationToken cancel = default)
{
    private readonly ICollectives ranks = ranks ?? SingleRank.Instance;

    /// <summary>Answers so far that an earlier run left.</summary>
    public int Reused { get; private set; }

    /// <summary>The same as the end of a line of progress.</summary>
    public string ReusedNote => Reused > 0 ? $", {Reused} from an earlier run" : "";

    /// <summary>The answers, in the order of the prompts.</summary>
    /// <param name="prompts">The prompts, the same on every rank.</param>
    /// <param name="key">Identity and task of a prompt, under which its answer is logged.</param>
    /// <param name="ask">Asks the model; null where it was cancelled before the answer was whole.</param>
    /// <exception cref="UserException">The ranks have different prompts.</exception>
    public IEnumerable<(T Prompt, LoggedAnswer Answer)> To<T>(IEnumerable<T> prompts, Func<T, (string Identity, string Task)> key, Func<T, LoggedAnswer?> ask)
    {
        foreach (var round in prompts.Chunk(ranks.Size))
        {
            var keys = Array.ConvertAll(round, prompt => key(prompt));
            ranks.RequireSame([$"model {run.Model}", $"positions {run.Positions}", $"dtype {run.Dtype}", .. keys.Select(k => $"{k.Task} prompt {k.Identity}")]);
            ThrowIf(ranks.Any(cancel.IsCancellationRequested));
            var answers = Array.ConvertAll(keys, k => log.Answer(run, k.Identity, k.Task));
            Reused += answers.Count(answer => answer is not null);
            if (answers.Contains(null))
            {
                var own = ranks.Rank < round.Length ? answers[ranks.Rank] ?? ask(round[ranks.Rank]) : null;
                answers = [.. ranks.Gather(JsonSerializer.Serialize(own)).Take(round.Length).Select(json => JsonSerializer.Deserialize<LoggedAnswer>(json))];
                foreach (var answer in answers.OfType<LoggedAnswer>())
                {
                    log.Append(run, answer);
                }

                ThrowIf(answers.Contains(null));
            }

            foreach (var (prompt, answer) in round.Zip(answers))
            {
                yield return (prompt, answer!);
            }
        }

        void ThrowIf(bool isCancelled)
        {
            if (isCancelled)
            {
                throw new OperationCanceledException(cancel);
            }
        }
    }
}
