using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Evaluation;

public sealed class PerplexityEvaluationTests
{
    internal static readonly RunKey Key = new("model", "rope", "Float32", "cpu", 256);

    private static readonly SpecialTokens WithBos = new(Sources.Bos, 2, [Sources.Bos], []);

    [Fact]
    public void Prefixes_of_all_lengths_cost_one_forward_of_the_longest()
    {
        var scorer = new FakeScorer();
        Run(scorer, ["prefix"], [128, 256, 512, 1024], Text(1024, 1), Text(2000, 2), Text(600, 3));
        Assert.Equal(1024 + 1024 + 512, scorer.TokensRead);
    }

    [Fact]
    public void A_length_dependent_method_gets_a_forward_of_each_length()
    {
        var scorer = new FakeScorer(dependsOnLength: true);
        Run(scorer, ["prefix"], [128, 256, 512], Text(1024, 1));
        Assert.Equal(128 + 256 + 512, scorer.TokensRead);
    }

    [Fact]
    public void Sliding_windows_that_begin_together_are_read_once()
    {
        var scorer = new FakeScorer();
        Run(scorer, ["pi-s256"], [512, 1024, 2048], Text(8192, 1));
        // 2048 tokens at 0, 256, ..., 6144; then 1024 at 6400 .. 7168 and 512 at 7424 and 7680, where only shorter
        // lengths still have windows.
        Assert.Equal((25 * 2048) + (4 * 1024) + (2 * 512), scorer.TokensRead);
    }

    [Fact]
    public void Protocols_share_their_windows()
    {
        var scorer = new FakeScorer();
        Run(scorer, ["pi-s256", "prefix", "yarn-trunc", "hf-stride-s256"], [1024], Text(4096, 1));
        var alone = new FakeScorer();
        Run(alone, ["pi-s256"], [1024], Text(4096, 1));
        Assert.Equal(alone.TokensRead, scorer.TokensRead);
    }

    [Fact]
    public void Windows_of_equal_length_go_in_batches_within_the_budget()
    {
        var scorer = new FakeScorer();
        Run(scorer, ["llamacpp-half"], [64], Text(64 * 10, 1), Text(64 * 3, 2));
        Assert.Equal([4, 4, 4, 1], scorer.BatchLengths.Select(lengths => lengths.Length));
        Assert.All(scorer.BatchLengths, lengths => Assert.All(lengths, length => Assert.Equal(64, length)));
    }

    [Fact]
    public void Stopped_anywhere_and_run_again_gives_the_same_bits_and_redoes_nothing()
    {
        var texts = new[] { Text(1000, 1), Text(300, 2), Text(700, 3) };
        var whole = new FakeScorer();
        var expected = Run(whole, ["pi-s256", "llamacpp-half"], [64, 128], texts);
        Assert.True(whole.BatchLengths.Count > 8);
        for (var stopAt = 0; stopAt < whole.BatchLengths.Count; stopAt++)
        {
            using var folder = new TemporaryFolder();
            var file = folder["results.jsonl"];
            var at = stopAt;
            var first = new FakeScorer { BeforeBatch = batch => { if (batch == at) { throw new OperationCanceledException(); } } };
            Assert.Throws<OperationCanceledException>(() => Run(first, file, ["pi-s256", "llamacpp-half"], [64, 128], texts));
            File.AppendAllText(file, "{\"run\":\"model rope Float32 cpu 256\",\"windows\":[{\"text\":\"");

            var second = new FakeScorer();
            var resumed = Run(second, file, ["pi-s256", "llamacpp-half"], [64, 128], texts);

            Assert.Equal(whole.TokensRead, first.TokensRead + second.TokensRead);
            Assert.Equal(whole.BatchLengths, [.. first.BatchLengths, .. second.BatchLengths]);
            Same(expected, resumed);
        }
    }

    [Fact]
    public void A_finished_run_is_read_back_without_a_forward_and_another_run_is_not_taken_for_it()
    {
        using var folder = new TemporaryFolder();
        var file = folder["results.jsonl"];
        var texts = new[] { Text(500, 1), Text(400, 2) };
        var expected = Run(new FakeScorer(), file, ["pi-s256"], [64], texts);
        var bytes = File.ReadAllBytes(file);

        var again = new FakeScorer();
        Same(expected, Run(again, file, ["pi-s256"], [64], texts));
        Assert.Empty(again.BatchLengths);
        Assert.Equal(bytes, File.ReadAllBytes(file));

        var other = new FakeScorer();
        Run(other, file, ["pi-s256"], [64], texts, run: Key with { Dtype = "BFloat16" });
        Assert.NotEmpty(other.BatchLengths);
    }

    [Fact]
    public void A_text_that_is_renamed_or_moved_keeps_its_results()
    {
        using var folder = new TemporaryFolder();
        var file = folder["results.jsonl"];
        var texts = new[] { Text(500, 1), Text(400, 2) };
        Run(new FakeScorer(), file, ["pi-s256"], [64], texts);
        var scorer = new FakeScorer();
        Run(scorer, file, ["pi-s256"], [64], texts[1] with { Name = "elsewhere" }, texts[0]);
        // The batches of the other order hold the same windows, all of them finished.
        Assert.Empty(scorer.BatchLengths);
    }

    [Fact]
    public void A_line_in_the_middle_that_is_not_ours_is_an_error_that_names_it()
    {
        using var folder = new TemporaryFolder();
        var file = folder["results.jsonl"];
        Run(new FakeScorer(), file, ["pi-s256"], [64], Text(500, 1));
        var lines = File.ReadAllLines(file);
        lines[1] = "step 7: loss 3.1";
        File.WriteAllLines(file, lines);
        var problem = Assert.Throws<UserException>(() => new ResultLog(file));
        Assert.Contains($"{file} line 2", problem.Message);
    }

    [Theory]
    [InlineData("""{"text":"d0","protocol":"pi-s256","length":64,"firstTarget":1,"sun":12.25,"count":63}""", "null")]
    [InlineData("""{"text":"d0","protocol":"pi-s256","length":64,"firstTarget":1,"sum":12.25}""", "null")]
    [InlineData("""{"text":"d0","protocol":"pi-s256","length":64,"firstTarget":1,"sum":1,"sum":2,"count":63}""", "null")]
    [InlineData(null, "null")]
    [InlineData(null, """{"text":"d0","protocol":"pi-s256","length":64,"start":0}""")]
    public void A_score_that_lacks_a_part_is_not_taken_for_0(string? window, string curve)
    {
        using var folder = new TemporaryFolder();
        var file = folder.Write("results.jsonl", $$"""{"run":"5f1c rope Float32 cpu 8192","windows":[{{window}}],"curves":[{{(window is null ? curve : "")}}]}""" + "\n");
        Assert.Contains($"{file} line 1", Assert.Throws<UserException>(() => new ResultLog(file)).Message);
    }

    [Fact]
    public void A_log_of_an_earlier_version_is_read()
    {
        using var folder = new TemporaryFolder();
        File.WriteAllText(folder["results.jsonl"], """
            {"run":"5f1c rope Float32 cpu 8192","windows":[],"curves":[],"proof":{"hash":"ab","vanillaHash":"ab","largestLogitDifference":0.5}}
            {"run":"5f1c rope Float32 cpu 8192","windows":[{"text":"d0","protocol":"pi-s256","length":64,"firstTarget":1,"sum":12.25,"count":63}],"curves":[{"text":"d0","protocol":"pi-s256","length":64,"start":0,"sums":[1.5,2]}]}

            """.ReplaceLineEndings("\n"));
        using var log = new ResultLog(folder["results.jsonl"]);
        var run = new RunKey("5f1c", "rope", "Float32", "cpu", 8192);
        Assert.Equal(new LoggedProof("ab", "ab", 0.5), log.Proof(run));
        Assert.Equal(new WindowScore("d0", "pi-s256", 64, 1, 12.25, 63), log.Window(run, "d0", "pi-s256", 64, 1));
        Assert.Equal([1.5, 2], log.Curve(run, "d0", "pi-s256", 64, 0)!.Sums);
        Assert.Null(log.Window(run with { BatchTokens = 4096 }, "d0", "pi-s256", 64, 1));
    }

    [Fact]
    public void Two_programs_cannot_write_one_file()
    {
        using var folder = new TemporaryFolder();
        using var log = new ResultLog(folder["results.jsonl"]);
        Assert.Contains("results.jsonl", Assert.Throws<UserException>(() => new ResultLog(folder["results.jsonl"])).Message);
    }

    [Theory]
    [InlineData(0, "no text")]
    [InlineData(30, "the longest of 1 has 30 tokens")]
    public void Texts_that_reach_no_length_are_an_error_that_says_so(int tokens, string message)
    {
        var texts = tokens == 0 ? [] : new[] { Text(tokens, 1) };
        Assert.Contains(message, Assert.Throws<UserException>(() => Run(new FakeScorer(), ["pi-s256"], [64, 128], texts)).Message);
    }

    [Fact]
    public void Progress_counts_tokens_to_the_end_and_what_was_reused()
    {
        using var folder = new TemporaryFolder();
        var file = folder["results.jsonl"];
        var seen = new List<EvaluationProgress>();
        Run(new FakeScorer(), file, ["pi-s256"], [64], [Text(500, 1)], progress: seen);
        Assert.Equal(seen[^1].TokensTotal, seen[^1].TokensDone);
        Assert.Equal(0, seen[^1].TokensReused);
        seen.Clear();
        Run(new FakeScorer(), file, ["pi-s256"], [64], [Text(500, 1)], progress: seen);
        Assert.Equal(seen[^1].TokensTotal, seen[^1].TokensReused);
    }

    [Fact]
    public void The_curve_holds_every_position_of_the_longest_whole_windows()
    {
        var scorer = new FakeScorer();
        var text = Text(1000, 1);
        var scores = Run(scorer, ["pi-s64"], [64, 256], text);
        Assert.All(scores.Curves, curve => Assert.Equal(256, curve.Score.Length));
        Assert.Equal(Enumerable.Range(0, 12).Select(i => 64 * i), scores.Curves.Select(c => c.Score.Start));
        var buckets = new PositionBuckets(256);
        foreach (var (_, curve) in scores.Curves)
        {
            var expected = new double[buckets.Count];
            for (var position = 1; position < 256; position++)
            {
                expected[buckets.Of(position)] += scorer.Nll(text.Tokens.AsSpan(curve.Start, position), text.Tokens[curve.Start + position], 256);
            }

            Assert.Equal(expected, curve.Sums);
        }
    }

    [Theory]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(17)]
    [InlineData(100)]
    [InlineData(4096)]
    [InlineData(5000)]
    public void Position_buckets_hold_every_position_once_in_order(int length)
    {
        var buckets = new PositionBuckets(length);
        Assert.Equal(1, buckets.Edges[0]);
        Assert.Equal(length, buckets.Edges[^1]);
        for (var position = 1; position < length; position++)
        {
            var bucket = buckets.Of(position);
            Assert.InRange(position, buckets.Edges[bucket], buckets.Edges[bucket + 1] - 1);
        }
    }

    internal static EvaluationDocument Text(int tokens, int seed)
    {
        var random = new Random(seed);
        return new EvaluationDocument($"text {seed}", [Sources.Bos, .. Enumerable.Range(0, tokens - 1).Select(_ => random.Next(3, 1000))], tokens / 2, tokens * 4);
    }

    private static PerplexityScores Run(FakeScorer scorer, string[] protocols, int[] lengths, params EvaluationDocument[] texts)
    {
        using var folder = new TemporaryFolder();
        return Run(scorer, folder["results.jsonl"], protocols, lengths, texts);
    }

    private static PerplexityScores Run(FakeScorer scorer, string file, string[] protocols, int[] lengths, params EvaluationDocument[] texts) =>
        Run(scorer, file, protocols, lengths, texts, Key);

    private static PerplexityScores Run(
        FakeScorer scorer, string file, string[] protocols, int[] lengths, EvaluationDocument[] texts, RunKey? run = null, List<EvaluationProgress>? progress = null)
    {
        using var log = new ResultLog(file);
        var plan = new PerplexityPlan([.. protocols.Select(p => PerplexityProtocols.Parse(p))], lengths, WithBos);
        return new PerplexityEvaluation(plan, texts, log, batchTokens: 256).Run(scorer, run ?? Key, progress is null ? null : new Recorder(progress));
    }

    private static void Same(PerplexityScores expected, PerplexityScores actual)
    {
        Assert.Equal(expected.Windows, actual.Windows);
        Assert.Equal(expected.Curves.Select(c => (c.Document, c.Score.Start)), actual.Curves.Select(c => (c.Document, c.Score.Start)));
        Assert.Equal(expected.Curves.SelectMany(c => c.Score.Sums), actual.Curves.SelectMany(c => c.Score.Sums));
    }

    private sealed class Recorder(List<EvaluationProgress> seen) : IProgress<EvaluationProgress>
    {
        public void Report(EvaluationProgress value) => seen.Add(value);
    }
}
