using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Evaluation.Statistics;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Evaluation;

public sealed class StatisticsTests
{
    private static readonly SpecialTokens NoSpecial = SpecialTokens.None;

    [Fact]
    public void Protocols_average_per_token_per_window_or_per_text()
    {
        // Text 0: windows of 4 tokens at 8 nats and 1 token at 1 nat; text 1: a window of 3 tokens at 9 nats.
        (int Document, WindowScore Score)[] windows = [Score(0, 1, 5, 8), Score(0, 5, 6, 1), Score(1, 1, 4, 9)];
        Assert.Equal(18.0 / 8, Mean(new PiSliding(), windows));
        Assert.Equal((2 + 1 + 3) / 3.0, Mean(new HuggingFaceStride(), windows));
        Assert.Equal(((9.0 / 5) + 3) / 2, Mean(new YarnTruncated(), windows), 1e-12);
    }

    [Fact]
    public void Words_and_bytes_divide_the_nats_of_the_whole_texts()
    {
        var result = PerplexityStatistics.Perplexity(Scores(new LmEvalDisjoint(), [Score(0, 1, 5, 8), Score(1, 1, 4, 9)]), 0).Lengths[0].PerWordAndByte!;
        // The two texts have 2 + 2 words and 10 + 10 bytes.
        Assert.Equal(Math.Exp(17.0 / 4), result.WordPerplexity, 1e-9);
        Assert.Equal(Math.Exp(17.0 / 20), result.BytePerplexity, 1e-9);
        Assert.Equal(17.0 / 20 / Math.Log(2), result.BitsPerByte, 1e-9);
    }

    [Fact]
    public void The_interval_of_two_units_runs_from_the_one_to_the_other()
    {
        var interval = new Bootstrap(2).OfRatio([new Ratio(10, 10), new Ratio(60, 20)])!.Value;
        Assert.Equal(1, interval.Low);
        Assert.Equal(3, interval.High);
        Assert.Null(new Bootstrap(1).OfRatio([new Ratio(1, 1)]));
    }

    [Fact]
    public void The_interval_of_many_units_is_the_normal_one()
    {
        var random = new Random(5);
        var units = Enumerable.Range(0, 400).Select(_ => new Ratio(random.NextDouble(), 1)).ToArray();
        var interval = new Bootstrap(400).OfRatio(units)!.Value;
        var (mean, error) = (units.Average(u => u.Sum), 1.96 * Math.Sqrt(1.0 / 12 / 400));
        Assert.Equal(mean - error, interval.Low, 0.004);
        Assert.Equal(mean + error, interval.High, 0.004);
    }

    [Fact]
    public void A_paired_difference_is_as_sure_as_the_differences_are_equal()
    {
        // The texts differ by nats, the methods by 0.1 everywhere: the pairing must see the latter.
        var easy = Enumerable.Range(0, 6).Select(t => Score(t, 1, 11, 10 * (t + 1))).ToArray();
        var hard = easy.Select(w => (w.Document, w.Score with { Sum = w.Score.Sum + 1 })).ToArray();
        var difference = Assert.Single(PerplexityStatistics.Differences(Scores(new PiSliding(), hard), Scores(new PiSliding(), easy), 0));
        Assert.Equal(0.1, difference.Nats, 1e-12);
        Assert.Equal(0.1, difference.Interval!.Value.Low, 1e-9);
        Assert.Equal(0.1, difference.Interval!.Value.High, 1e-9);
        Assert.True(difference.IsSignificant);
        Assert.Equal(Math.Exp(0.1), difference.PerplexityRatio, 1e-12);
    }

    [Fact]
    public void A_single_texts_interval_is_over_its_windows_and_says_so()
    {
        var one = PerplexityStatistics.Perplexity(Scores(new PiSliding(), [Score(0, 1, 5, 4), Score(0, 5, 9, 8)]), 0);
        Assert.Equal("windows", one.Unit);
        Assert.Equal(1, one.Lengths[0].Interval!.Value.Low);
        Assert.Equal(2, one.Lengths[0].Interval!.Value.High);
        var two = PerplexityStatistics.Perplexity(Scores(new PiSliding(), [Score(0, 1, 5, 4), Score(1, 5, 9, 8)]), 0);
        Assert.Equal("texts", two.Unit);
    }

    [Fact]
    public void A_change_with_the_length_is_over_the_texts_that_reach_both()
    {
        // Texts 0 and 1 have 10 nats at 4 tokens and 11 and 12 at 8; text 2 is too short for 8.
        (int Document, WindowScore Score)[] windows =
        [
            Score(0, 1, 5, 10, length: 4), Score(1, 1, 5, 10, length: 4), Score(2, 1, 5, 90, length: 4), Score(0, 1, 5, 11), Score(1, 1, 5, 12),
        ];
        var scores = Scores(new PiSliding(), windows);
        var change = PerplexityStatistics.Change(scores, 4, 8, 0)!;
        Assert.Equal((8, 3.0 / 8, 1.0 / 4, 1.0 / 2), (change.Length, change.Nats, change.Interval!.Value.Low, change.Interval.Value.High));
        Assert.Equal(-change.Nats, PerplexityStatistics.Change(scores, 8, 4, 0)!.Nats);
        Assert.Null(PerplexityStatistics.Change(Scores(new PiSliding(), windows[..4]), 4, 8, 0));
    }

    [Fact]
    public void Very_many_windows_are_drawn_in_runs_and_average_to_the_same()
    {
        var windows = Enumerable.Range(0, 9001).Select(i => Score(0, 1 + (4 * i), 5 + (4 * i), i % 3)).ToArray();
        var result = PerplexityStatistics.Perplexity(Scores(new PiSliding(), windows), 0).Lengths[0];
        Assert.Equal(windows.Sum(w => w.Score.Sum) / (4 * 9001), result.MeanNll!.Value, 1e-12);
        Assert.Equal(9001, result.Windows);
        Assert.InRange(result.MeanNll.Value, result.Interval!.Value.Low, result.Interval!.Value.High);
    }

    [Fact]
    public void The_gain_compares_the_same_tokens_at_two_lengths()
    {
        (int Document, WindowScore Score)[] windows =
        [
            Score(0, 1, 4, 33, length: 4), Score(0, 5, 8, 33, length: 4), Score(0, 9, 12, 33, length: 4), Score(0, 13, 16, 33, length: 4),
            Score(0, 1, 8, 70, length: 8), Score(0, 8, 12, 12, length: 8), Score(0, 12, 16, 16, length: 8), Score(0, 16, 24, 40, length: 8),
            Score(0, 1, 12, 99, length: 12), Score(0, 12, 16, 10, length: 12), Score(0, 16, 24, 16, length: 12),
        ];
        var plan = new PerplexityPlan([new PiSliding(4)], [4, 8, 12], NoSpecial);
        var result = PerplexityStatistics.Perplexity(new PerplexityScores(plan, Documents(2), [.. windows.Select(w => (w.Document, w.Score with { Protocol = "pi-s4" }))], [], 0), 0);
        // Length 4 has other stretches (a window's first token is not scored), so it is compared with nothing.
        Assert.Null(result.Lengths[0].Gain);
        Assert.Null(result.Lengths[1].Gain);
        Assert.Equal(8, result.Lengths[2].Gain!.From);
        Assert.Equal((16 - 10 + 40 - 16) / 12.0, result.Lengths[2].Gain!.Nats);
        Assert.Equal(12, result.Lengths[2].Gain!.Tokens);
    }

    public static TheoryData<double[], int?> Curves => new()
    {
        // One bucket an octave from 64 tokens on: the minimum is over the buckets themselves.
        { [2, 1.5, 1.2, 1.1, 1.0], null },
        { [2, 1.5, 1.2, 1.31, 1.5], 512 },
        { [2, 1.5, 1.2, 1.29, 1.5], 1024 },
        { [2, 1.5, 1.7, 1.2, 1.25], null },
        { [2, 1.5, 1.7, 1.2, 1.4], 1024 },
        { [1, 2, 3, 4, 5], 128 },
        { [1, double.NaN, 1, 1.05, 1.2], 1024 },
    };

    [Theory]
    [MemberData(nameof(Curves))]
    public void The_limit_is_where_the_curve_rises_for_good(double[] means, int? limit)
    {
        var edges = Enumerable.Range(0, means.Length + 1).Select(i => 64 << i).ToArray();
        var groups = Enumerable.Range(0, means.Length).Select(i => (i, i + 1)).ToList();
        var totals = means.Select(mean => double.IsNaN(mean) ? new Ratio(0, 0) : new Ratio(100 * mean, 100)).ToArray();
        Assert.Equal(limit, EffectiveContext.Limit(edges, groups, totals, 0.1));
    }

    [Fact]
    public void A_lucky_narrow_bucket_is_not_the_minimum()
    {
        // Four buckets an octave, one of them low by chance: the octave around it is not.
        var edges = new PositionBuckets(4096).Edges;
        var groups = Enumerable.Range(0, edges.Length - 1).Select(i => (i, i + 1)).ToList();
        var totals = groups.Select(group => new Ratio((edges[group.Item2] - edges[group.Item1]) * (edges[group.Item1] == 91 ? 1.35 : 1.5), edges[group.Item2] - edges[group.Item1])).ToArray();
        Assert.Null(EffectiveContext.Limit(edges, groups, totals, 0.1));
    }

    [Fact]
    public void The_effective_context_has_an_interval_and_says_when_the_sweep_ended_first()
    {
        var edges = new PositionBuckets(4096).Edges;
        // Half of the units break at 1024 tokens, half at 2048: over all, the curve rises at 1024 already.
        var counts = Enumerable.Range(0, 8).Select(_ => edges.Skip(1).Zip(edges, (to, from) => (double)(to - from)).ToArray()).ToList();
        var sums = Enumerable.Range(0, 8).Select(u => edges.SkipLast(1).Select((from, b) => counts[u][b] * (from >= (u % 2 == 0 ? 1024 : 2048) ? 3 : 1)).ToArray()).ToList();
        var limit = EffectiveContext.Of(edges, sums, counts, new Bootstrap(8));
        Assert.Equal(1024, limit.Tokens);
        Assert.Equal(4096, limit.Swept);
        Assert.Equal("1024", limit.ToString());
        Assert.Equal(1024, limit.Interval!.Value.Low);

        var flat = counts.ConvertAll(c => Array.ConvertAll(c, n => 2 * n));
        var none = EffectiveContext.Of(edges, flat, counts, new Bootstrap(8));
        Assert.Null(none.Tokens);
        Assert.Equal(">= 4096", none.ToString());
        Assert.Equal(">= 4096 to >= 4096", none.IntervalText);
    }

    [Fact]
    public void An_easy_opening_of_the_texts_is_not_taken_for_the_limit()
    {
        var edges = new PositionBuckets(2048).Edges;
        var counts = Enumerable.Range(0, 4).Select(_ => edges.Skip(1).Zip(edges, (to, from) => (double)(to - from)).ToArray()).ToList();
        var sums = counts.ConvertAll(c => edges.SkipLast(1).Select((from, b) => c[b] * (from < 16 ? 0.1 : 1.5)).ToArray());
        Assert.Null(EffectiveContext.Of(edges, sums, counts, new Bootstrap(4)).Tokens);
    }

    private static double Mean(PerplexityProtocol protocol, (int Document, WindowScore Score)[] windows) =>
        PerplexityStatistics.Perplexity(Scores(protocol, windows), 0).Lengths[0].MeanNll!.Value;

    private static PerplexityScores Scores(PerplexityProtocol protocol, (int Document, WindowScore Score)[] windows) => new(
        new PerplexityPlan([protocol], [8], NoSpecial), Documents(1 + windows.Max(w => w.Document)), [.. windows.Select(w => (w.Document, w.Score with { Protocol = protocol.Name }))], [], 0);

    private static EvaluationDocument[] Documents(int count) => [.. Enumerable.Range(0, count).Select(i => new EvaluationDocument($"t{i}", [1, 2, 3, i], 2, 10))];

    private static (int Document, WindowScore Score) Score(int text, int from, int to, double sum, int length = 8) => (text, new WindowScore($"t{text}", "", length, from, sum, to - from));
}
