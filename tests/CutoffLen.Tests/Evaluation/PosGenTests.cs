using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.PosGen;
using CutoffLen.Tests.Distributed;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Evaluation;

public sealed class PosGenTests
{
    /// <summary>
    /// sheryc/resonance_rope at 4a7f5a7, its *_sequence.py run outside the project: the first 16 numbers of a sequence and those
    /// from 250 on.
    /// </summary>
    [Theory]
    [InlineData(PosGenFamily.Recurrent, 17, 1, 3, 5, "0 1 2 8 11 5 9 16 7 3 1 10 4 1 16 14", "15 16 15 2 14 13")]
    [InlineData(PosGenFamily.Recurrent, 17, 1, 3, 2381, "0 1 2 4 7 14 10 1 15 6 15 3 5 12 1 4", "1 1 6 5 13 8")]
    [InlineData(PosGenFamily.Recurrent, 23, 2, 3, 777, "0 1 7 8 16 9 18 12 17 3 13 17 16 20 0 20", "22 21 15 2 14 5")]
    [InlineData(PosGenFamily.Cot, 17, 1, 3, 5, "0 1 2 8 11 4 6 4 14 7 8 12 10 13 1 7", "10 2 16 11 12 5")]
    [InlineData(PosGenFamily.Cot, 17, 1, 3, 2381, "0 1 2 4 7 13 7 10 13 13 2 11 9 5 8 5", "11 1 6 1 8 15")]
    [InlineData(PosGenFamily.Cot, 23, 2, 3, 777, "0 1 7 8 16 9 11 14 12 15 19 1 13 11 3 5", "2 14 18 12 22 7")]
    [InlineData(PosGenFamily.SemiRecurrent, 17, 1, 3, 5, "0 1 2 8 11 4 7 6 2 0 16 9 2 4 2 12", "2 8 16 6 6 4")]
    [InlineData(PosGenFamily.SemiRecurrent, 17, 1, 3, 2381, "0 1 2 4 7 13 8 12 1 6 6 0 2 15 13 9", "16 3 14 2 13 6")]
    [InlineData(PosGenFamily.SemiRecurrent, 23, 2, 3, 777, "0 1 7 8 16 9 11 21 3 4 20 5 7 11 2 17", "16 18 17 12 8 19")]
    public void Sequences_are_those_of_the_authors_code(PosGenFamily family, int modulus, int far, int near, int sequence, string first, string last)
    {
        var numbers = new PosGenTask(family, modulus, far, near).Sequences(sequence, 1, 256).Single();
        Assert.Equal(first, string.Join(' ', numbers[..16]));
        Assert.Equal(last, string.Join(' ', numbers[250..]));
    }

    [Fact]
    public void Numbers_are_sums_modulo_17()
    {
        // Far: the first of the last four; the first of all; one that moves on every second number.
        Assert.Equal([0, 1, 2, 3, 6, 12, 6, 10, 0], new PosGenTask(PosGenFamily.Recurrent).Extend([0, 1, 2, 3], 9));
        Assert.Equal([0, 1, 2, 3, 6, 11, 3, 3, 0], new PosGenTask(PosGenFamily.Cot).Extend([0, 1, 2, 3], 9));
        Assert.Equal([0, 1, 2, 3, 6, 11, 4, 5, 5], new PosGenTask(PosGenFamily.SemiRecurrent).Extend([0, 1, 2, 3], 9));
    }

    [Fact]
    public void The_first_numbers_are_all_combinations_again_and_again()
    {
        var seeds = new PosGenTask(PosGenFamily.Cot, 6, 1, 2).Sequences(0, 25, 3).Select(numbers => string.Concat(numbers)).ToList();
        Assert.Equal(["012", "013", "014", "015", "023"], seeds.Take(5));
        Assert.Equal(20, seeds.Take(20).Distinct().Count()); // 6 over 3
        Assert.Equal(seeds.Take(5), seeds.Skip(20));
        Assert.All(seeds, seed => Assert.True(seed[0] < seed[1] && seed[1] < seed[2]));
        Assert.Contains("at least 4", Assert.Throws<UserException>(() => new PosGenTask(PosGenFamily.Cot, 3).Sequences(0, 1, 9)).Message);
    }

    [Fact]
    public void A_number_is_a_token_to_the_tokenizer_that_is_written_beside_the_records()
    {
        using var folder = new TemporaryFolder();
        var task = new PosGenTask(PosGenFamily.Cot, 80);
        PosGenText.Write(folder[""], task, length: 10, testLength: 30, train: 3, test: 2);
        var tokenizer = CheckpointTokenizer.Open(folder["model"], HuggingFaceCheckpoint.ReadConfig(folder["model"], out _).VocabSize);
        Assert.Null(tokenizer.SpecialTokens.Eos);
        foreach (var (name, first, count, length) in new[] { ("train", 0, 3, 10), ("validation", 0, 2, 30), ("test", 2, 2, 30) })
        {
            var records = File.ReadAllLines(folder[$"{name}.jsonl"]).Select(line => System.Text.Json.JsonSerializer.Deserialize<Dictionary<string, string>>(line)!).ToList();
            Assert.All(records, record => Assert.Equal(["prompt", "completion"], record.Keys));
            Assert.All(records, record => Assert.Equal(4, record["prompt"].Length));
            Assert.Equal(
                task.Sequences(first, count, length).Select(numbers => (int[])[0, .. numbers.Select(number => number + 1)]),
                records.Select(record => tokenizer.Encode(record["prompt"] + record["completion"])));
        }
    }

    [Fact]
    public void Accuracy_is_counted_within_the_trained_length_and_beyond_it()
    {
        var task = new PosGenTask(PosGenFamily.Recurrent);
        var sequences = task.Sequences(0, 20, 40).ToList();
        var accuracy = Measure(Knows, task, sequences);
        Assert.Equal(1, accuracy.Inside.Share);
        var longer = sequences.Count(numbers => (99 + PosGenText.Of(numbers).Sum(letter => letter)) % 2 != 0);
        Assert.InRange(longer, 1, 19);
        Assert.Equal(longer / 20.0 * 14 / 24, accuracy.Beyond.Share, 1e-12);
        Assert.True(accuracy.Beyond.Interval!.Value.Low < accuracy.Beyond.Share && accuracy.Beyond.Interval.Value.High > accuracy.Beyond.Share);
        Assert.Equal([0, 0, 0, 0, 1], accuracy.ByPosition.Take(5));
        Assert.Equal([longer / 20.0, 0], accuracy.ByPosition.Skip(29).Take(2));
        Assert.Contains("41 tokens", Assert.Throws<UserException>(() => Measure(_ => [], task, sequences, encode: text => text.Length == 0 ? [] : new int[41])).Message);
    }

    [Fact]
    public void Batches_are_predicted_once_and_ranks_share_them()
    {
        var task = new PosGenTask(PosGenFamily.Recurrent);
        var sequences = task.Sequences(0, 70, 40).ToList(); // 5 batches
        var expected = Measure(Knows, task, sequences);
        using var folder = new TemporaryFolder();
        using var stop = new CancellationTokenSource();
        var asked = 0;
        int[][] Ask(IReadOnlyList<int[]> rows)
        {
            if (++asked == 2)
            {
                stop.Cancel();
            }

            return Knows(rows);
        }

        using (var log = new ResultLog(folder["results.jsonl"]))
        {
            Assert.Throws<OperationCanceledException>(() => Measure(Ask, task, sequences, log, cancel: stop.Token));
        }

        using (var log = new ResultLog(folder["results.jsonl"]))
        {
            Same(expected, Measure(Ask, task, sequences, log));
            Assert.Equal(5, asked);
            Same(expected, Measure(_ => throw new InvalidOperationException(), task, sequences, log));
            // What is given decides what is counted.
            Measure(Ask, task with { Near = 4 }, sequences, log);
            Assert.Equal(10, asked);
        }

        var askedBy = new int[2];
        var results = ThreadCollectives.Run(2, ranks => Measure(
            rows =>
            {
                askedBy[ranks.Rank]++;
                return Knows(rows);
            },
            task, sequences, ranks: ranks));
        Assert.Equal([3, 2], askedBy);
        Assert.All(results, result => Same(expected, result));
    }

    /// <summary>Right up to number 15 in every sequence, and in every second one up to number 29.</summary>
    private static int[][] Knows(IReadOnlyList<int[]> rows) =>
        [.. rows.Select(row => row.Select((_, n) => n + 1 < row.Length && n < (row.Sum() % 2 == 0 ? 16 : 30) ? row[n + 1] : -1).ToArray())];

    private static PosGenAccuracy Measure(
        Func<IReadOnlyList<int[]>, int[][]> predict, PosGenTask task, IReadOnlyList<int[]> sequences, ResultLog? log = null, Func<string, int[]>? encode = null,
        ICollectives? ranks = null, CancellationToken cancel = default)
    {
        using var memory = new ResultLog();
        return PosGenAccuracy.Measure(
            predict, encode ?? (text => [99, .. text.Select(letter => (int)letter)]), task, sequences, trained: 16,
            new SharedAnswers(new RunKey("5f1c", "rope", "Float32", "cpu", 0), log ?? memory, ranks, cancel));
    }

    private static void Same(PosGenAccuracy expected, PosGenAccuracy actual)
    {
        Assert.Equal((expected.Inside, expected.Beyond), (actual.Inside, actual.Beyond));
        Assert.Equal(expected.ByPosition, actual.ByPosition);
    }
}
