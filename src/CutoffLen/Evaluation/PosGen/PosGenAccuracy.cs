using CutoffLen.Common;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Statistics;

namespace CutoffLen.Evaluation.PosGen;

/// <summary>The share of numbers that a model predicts.</summary>
/// <param name="Share">0 to 1.</param>
/// <param name="Interval">By bootstrap over sequences; null for one sequence.</param>
public readonly record struct PosGenShare(double Share, Interval? Interval);

/// <summary>
/// Teacher-forced accuracy on PosGen: every number but the first ones is predicted as the likeliest token after the true ones
/// before it, as the authors' decoder_module.py measures.
/// </summary>
/// <param name="Inside">Over the trained length.</param>
/// <param name="Beyond">After it.</param>
/// <param name="ByPosition">By the number's index from 0; the first ones are not predicted and 0.</param>
public sealed record PosGenAccuracy(PosGenShare Inside, PosGenShare Beyond, IReadOnlyList<double> ByPosition)
{
    private const int BatchRows = 16;

    /// <summary>Measures a model.</summary>
    /// <param name="predict">The likeliest token after each token of rows, as <see cref="LlamaScorer.Likeliest"/> gives it.</param>
    /// <param name="encode">Tokens of a text, with the special tokens before it.</param>
    /// <param name="task">The task.</param>
    /// <param name="sequences">Its sequences, of equal length.</param>
    /// <param name="trained">Numbers of a training sequence.</param>
    /// <param name="answers">Keeps what was predicted and shares the batches among ranks.</param>
    /// <param name="progress">Told how many sequences are done.</param>
    /// <exception cref="UserException">A number is not one token of the model's.</exception>
    public static PosGenAccuracy Measure(
        Func<IReadOnlyList<int[]>, int[][]> predict, Func<string, int[]> encode, PosGenTask task, IReadOnlyList<int[]> sequences, int trained, SharedAnswers answers,
        IProgress<int>? progress = null)
    {
        var length = sequences[0].Length;
        var before = encode("").Length;
        var rows = sequences.Select(numbers => encode(PosGenText.Of(numbers))).ToList();
        if (rows.FirstOrDefault(row => row.Length != before + length) is { } wrong)
        {
            throw new UserException($"the model's tokenizer makes {wrong.Length} tokens of {length} numbers; a number has to be one, as in the model that cutoff posgen make prepares");
        }

        var right = new List<bool[]>();
        var name = $"posgen, {length} numbers of which {task.Seeds} are given";
        foreach (var (batch, answer) in answers.To(rows.Chunk(BatchRows).Select((batch, number) => new Batch(number, batch)), batch => (batch.Identity, name), Predict))
        {
            right.AddRange(answer.NumbersOf(batch.Rows.Length * length).Select(number => number != 0).Chunk(length));
            progress?.Report(right.Count);
        }

        var bootstrap = new Bootstrap(right.Count);
        return new(Share(task.Seeds, trained), Share(trained, length), [.. Enumerable.Range(0, length).Select(n => right.Average(row => row[n] ? 1.0 : 0))]);

        // Logged for each number of the batch: 1 where it was predicted, else 0.
        LoggedAnswer Predict(Batch batch) => new(batch.Identity, name, length, batch.Number, [], "")
        {
            Numbers = [.. batch.Rows.Zip(predict(batch.Rows)).SelectMany(pair => Enumerable.Range(0, length)
                .Select(n => n >= task.Seeds && pair.Second[before + n - 1] == pair.First[before + n] ? 1 : 0))],
        };

        PosGenShare Share(int from, int to)
        {
            Ratio[] units = [.. right.Select(row => new Ratio(row[from..to].Count(isRight => isRight), to - from))];
            return new(Ratio.Of(units), bootstrap.OfRatio(units));
        }
    }

    private sealed record Batch(int Number, int[][] Rows)
    {
        public string Identity { get; } = EvaluationDocument.IdentityOf([.. Rows.SelectMany(row => row)]);
    }
}
