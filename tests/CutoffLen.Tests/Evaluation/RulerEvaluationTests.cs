using System.Text.RegularExpressions;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Tests.Distributed;

namespace CutoffLen.Tests.Evaluation;

public sealed partial class RulerEvaluationTests
{
    private static readonly RunKey Key = new("5f1c", "rope", "Float32", "cpu", 0);
    private static readonly Essay Essay = new(string.Concat(Enumerable.Repeat("It was a long day. Nothing went as it should! ", 40)));

    [Theory]
    [InlineData(2400)]
    [InlineData(8000)]
    public void Who_reads_all_of_the_prompt_scores_100_in_every_task_and_every_prompt_fills_its_length(int length)
    {
        var prompts = new List<(int Tokens, int Most)>();
        var tasks = RulerTasks.Of(Essay);
        var result = Run(tasks, [length], 3, (prompt, most) =>
        {
            prompts.Add((prompt.Length, most));
            return Solve(Text(prompt));
        });
        Assert.Equal(tasks.Select(task => task.Name), result.Tasks);
        Assert.All(result.Cells, cell => Assert.Equal([1, 1, 1], cell.Shares));
        Assert.Equal(length, result.EffectiveLength);
        Assert.All(prompts, prompt => Assert.InRange(prompt.Tokens + prompt.Most, length * 0.9, length));
        // The first sample decides the size: one more line of the haystack would be too long.
        Assert.All(prompts.Where((_, n) => n % 3 == 0), prompt => Assert.InRange(prompt.Tokens + prompt.Most, length - 150, length));
    }

    [Fact]
    public void Who_reads_the_end_alone_finds_what_is_there()
    {
        var result = Run([RulerTasks.Of()[0]], [1000, 4000], 40, (prompt, _) => Solve(Text(prompt), sight: 1000));
        Assert.Equal(100, result.At("niah_single_1", 1000).Score.Percent);
        Assert.InRange(result.At("niah_single_1", 4000).Score.Percent, 5, 50);
        Assert.Equal(1000, result.EffectiveLength);
        Assert.Null(Run([RulerTasks.Of()[0]], [1000], 2, (_, _) => "").EffectiveLength);
    }

    [Fact]
    public void A_stopped_run_goes_on_where_it_was()
    {
        using var folder = new TemporaryFolder();
        var tasks = RulerTasks.Select(RulerTasks.Of(), ["niah_single_1", "fwe"]);
        var expected = Run(tasks, [1000, 1500], 3, (prompt, _) => Solve(Text(prompt), sight: 800));
        using var stop = new CancellationTokenSource();
        var asked = 0;
        string Answer(int[] prompt, int most)
        {
            if (++asked == 5)
            {
                stop.Cancel();
            }

            return Solve(Text(prompt), sight: 800);
        }

        using (var log = new ResultLog(folder["results.jsonl"]))
        {
            Assert.Throws<OperationCanceledException>(() => Run(tasks, [1000, 1500], 3, Answer, log, cancel: stop.Token));
        }

        using (var log = new ResultLog(folder["results.jsonl"]))
        {
            Same(expected, Run(tasks, [1000, 1500], 3, Answer, log));
            Assert.Equal(12, asked);
            Same(expected, Run(tasks, [1000, 1500], 3, (_, _) => throw new InvalidOperationException(), log));
            // Another method, and another seed, are asked anew.
            Run(tasks, [1000], 3, Answer, log, Key with { Positions = "yarn" });
            Run(tasks, [1000], 3, Answer, log, seed: 1);
            Assert.Equal(24, asked);
        }
    }

    [Fact]
    public void Ranks_share_the_samples()
    {
        var tasks = RulerTasks.Select(RulerTasks.Of(), ["niah_single_1", "vt"]);
        var expected = Run(tasks, [2000], 5, (prompt, _) => Solve(Text(prompt), sight: 900));
        var asked = new int[2];
        var results = ThreadCollectives.Run(2, ranks => Run(tasks, [2000], 5, (prompt, _) =>
        {
            asked[ranks.Rank]++;
            return Solve(Text(prompt), sight: 900);
        }, ranks: ranks));
        Assert.Equal([6, 4], asked);
        Assert.All(results, result => Same(expected, result));
    }

    [Fact]
    public void A_length_too_short_for_a_task_is_an_error_before_anything_is_asked() => Assert.Matches(
        "^task cwe has prompts of 1[0-9]{3} tokens at least with this tokenizer, answer included; 1000 are too few$",
        Assert.Throws<UserException>(() => Run(RulerTasks.Select(RulerTasks.Of(), ["niah_single_1", "cwe"]), [1000], 1, (_, _) => throw new InvalidOperationException())).Message);

    /// <summary>The README of NVIDIA/RULER: averages at 4K to 128K, effective length, wAvg. (inc) and (dec).</summary>
    [Theory]
    [InlineData("96.7 96.6 96.4 96.0 95.4 95.1", 131072, 95.7, 96.3)] // Jamba-1.5-large
    [InlineData("96.6 96.3 95.2 93.2 87.0 81.2", 65536, 89.0, 94.1)] // GPT-4
    [InlineData("95.5 93.8 91.6 87.4 84.7 77.0", 32768, 85.4, 91.3)] // Llama3.1-8B
    [InlineData("93.6 91.2 87.2 75.4 49.0 13.8", 16384, 55.6, 81.2)] // Mistral-7B
    [InlineData("82.3 78.4 73.7 69.1 68.1 65.0", null, 69.9, 75.7)] // LWM
    public void Effective_length_and_weighted_averages_are_those_of_the_published_table(string scores, int? effective, double increasing, double decreasing)
    {
        var result = new RulerResult([.. scores.Split(' ').Select((score, n) => new RulerCell("all", 4096 << n, [double.Parse(score, System.Globalization.CultureInfo.InvariantCulture) / 100]))]);
        Assert.Equal(effective, result.EffectiveLength);
        Assert.Equal(increasing, result.WeightedAverage(increasing: true), 0.051);
        Assert.Equal(decreasing, result.WeightedAverage(increasing: false), 0.051);
    }

    /// <summary>Newcombe, Statistics in Medicine 17 (1998), table I, method 3.</summary>
    [Theory]
    [InlineData(81, 263, 0.2553, 0.3662)]
    [InlineData(15, 148, 0.0624, 0.1605)]
    [InlineData(0, 20, 0.0000, 0.1611)]
    [InlineData(1, 29, 0.0061, 0.1718)]
    public void Intervals_of_shares_are_Wilsons(int found, int trials, double low, double high)
    {
        var interval = Interval.OfShare((double)found / trials, trials);
        Assert.Equal(low, interval.Low, 5e-5);
        Assert.Equal(high, interval.High, 5e-5);
    }

    private static void Same(RulerResult expected, RulerResult actual) =>
        Assert.Equal(expected.Cells.Select(cell => (cell.Task, cell.Length, string.Join(' ', cell.Shares))), actual.Cells.Select(cell => (cell.Task, cell.Length, string.Join(' ', cell.Shares))));

    // One token a character.
    private static RulerResult Run(
        IReadOnlyList<RulerTask> tasks, int[] lengths, int samples, Func<int[], int, string> answer, ResultLog? log = null, RunKey? run = null, int seed = 0,
        ICollectives? ranks = null, CancellationToken cancel = default)
    {
        using var memory = new ResultLog();
        return new RulerEvaluation(tasks, lengths, samples, seed, text => [.. text.Select(c => (int)c)]).Run(new SharedAnswers(run ?? Key, log ?? memory, ranks, cancel), answer);
    }

    private static string Text(int[] prompt) => string.Concat(prompt.Select(token => (char)token));

    /// <summary>What a reader of the last characters of a prompt answers: reads needles, follows assignments, counts words.</summary>
    private static string Solve(string prompt, int sight = int.MaxValue)
    {
        var seen = prompt[^Math.Min(sight, prompt.Length)..];
        var question = seen[seen.LastIndexOf('\n')..];
        if (question.Contains("special magic", StringComparison.Ordinal))
        {
            var keys = Asked().Match(question).Groups[1].Value.Replace(", and ", ", ", StringComparison.Ordinal).Split(", ");
            return string.Join(' ', Needle().Matches(seen).Where(needle => keys.Contains(needle.Groups[1].Value)).Select(needle => needle.Groups[2].Value));
        }

        if (question.Contains("variables", StringComparison.Ordinal))
        {
            var values = new Dictionary<string, string>();
            foreach (Match assignment in Assignment().Matches(seen))
            {
                var value = assignment.Groups[2].Value;
                values[assignment.Groups[1].Value] = values.GetValueOrDefault(value, value);
            }

            var asked = Value().Match(question).Value;
            return string.Join(' ', values.Where(pair => pair.Value == asked).Select(pair => pair.Key));
        }

        var list = seen.Split('\n')[^2];
        var words = question.Contains("coded", StringComparison.Ordinal)
            ? list[(list.LastIndexOf("words. ", StringComparison.Ordinal) + 7)..].Split(' ').Where(word => word.Length == 6 && word.All(char.IsAsciiLetterLower))
            : list.Split(' ').Where((_, n) => n % 2 == 1);
        var top = question.Contains("coded", StringComparison.Ordinal) ? 3 : 10;
        return string.Join(' ', words.CountBy(word => word).OrderByDescending(count => count.Value).Take(top).Select(count => count.Key));
    }

    [GeneratedRegex("the special magic [a-z]+ for (.+?) mentioned")]
    private static partial Regex Asked();

    [GeneratedRegex("One of the special magic [a-z]+ for (.+?) is: (.+?)[.]")]
    private static partial Regex Needle();

    [GeneratedRegex("VAR ([A-Z]{5}) = (?:VAR )?([A-Z0-9]{5})")]
    private static partial Regex Assignment();

    [GeneratedRegex("[0-9]{5}")]
    private static partial Regex Value();
}
