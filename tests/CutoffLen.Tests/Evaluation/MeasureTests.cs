using System.Text.Json.Nodes;
using CutoffLen.Common;
using CutoffLen.Distributed;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Tests.Distributed;

namespace CutoffLen.Tests.Evaluation;

public sealed class MeasureTests
{
    [Fact]
    public void Attention_resolution_is_equation_3_of_the_paper()
    {
        var golden = JsonNode.Parse(File.ReadAllText(Golden.Path("attention_resolution.json")))!;
        var heads = golden["cases"]!.AsArray().SelectMany(c => c!["per_head"]!.AsArray()).ToList();
        Assert.NotEmpty(heads);
        Assert.All(heads, head => Assert.Equal(
            head!["R"]!.GetValue<double>(), AttentionResolution.Of([.. head["s"]!.AsArray().Select(s => s!.GetValue<double>())]), 1e-12));
    }

    [Fact]
    public void Attention_resolution_by_hand()
    {
        // e^s = 4, 2, 1: (4 * 2 + 2 * 1) / (4 + 2)^2.
        Assert.Equal(10.0 / 36, AttentionResolution.Of([Math.Log(4), Math.Log(2), 0]), 1e-12);
        Assert.Equal(10.0 / 36, AttentionResolution.Of([Math.Log(4) + 900, Math.Log(2) + 900, 900]), 1e-12);
        Assert.Equal(0, AttentionResolution.Of([2, 2, 2, 2]));
        Assert.True(AttentionResolution.Of([0, 1, 2]) < 0);
    }

    [Fact]
    public void Key_tokens_are_those_that_the_far_context_makes_easy()
    {
        // Token 13 is easy only where token 2 is read, token 15 is hard everywhere, token 16 easy everywhere.
        var scorer = new FarSight();
        var tokens = Enumerable.Range(0, 20).ToArray();
        var settings = new LongPplSettings(TruncatedLength: 8, SlidingWindow: 4);
        Assert.Equal([13], LongPpl.KeyTokens(scorer, tokens, settings));
        Assert.Empty(LongPpl.KeyTokens(scorer, tokens, settings with { Alpha = 5 }));
        Assert.Empty(LongPpl.KeyTokens(scorer, tokens, settings with { Beta = -0.1 }));
        Assert.Empty(LongPpl.KeyTokens(scorer, tokens, settings with { TruncatedLength = 14 }));
        Assert.Equal([[0, 20], [0, 12], [4, 16], [8, 20]], scorer.Windows.Take(4));

        var result = LongPpl.Measure(scorer, tokens, [13, 16]);
        Assert.Equal(Math.Exp((0.5 + 0.25) / 2), result.LongPerplexity!.Value, 1e-9);
        Assert.Null(LongPpl.Measure(scorer, tokens, []).LongPerplexity);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(0.5)]
    [InlineData(1)]
    public void A_passkey_prompt_fills_the_length_with_the_key_at_its_depth(double depth)
    {
        var prompt = PasskeyPrompt.Of(2000, depth, "48213", Characters.Encode);
        var text = Characters.Decode(prompt.Prompt);
        Assert.StartsWith("There is an important info hidden inside a lot of irrelevant text. Find it and memorize them. I will quiz you about the important information there.\n", text);
        Assert.Contains("\nThe pass key is 48213. Remember it. 48213 is the pass key.\n", text);
        Assert.EndsWith("\nWhat is the pass key? The pass key is", text);
        Assert.Equal(" 48213", Characters.Decode(prompt.Answer));
        // One more filler sentence (90 characters) would be too long.
        Assert.InRange(prompt.Prompt.Length + prompt.Answer.Length, 2000 - 90, 2000);
        var at = text.IndexOf("The pass key is 48213", StringComparison.Ordinal);
        Assert.Equal(depth, (double)(at - 150) / (text.Length - 150 - 97), 0.06);
        Assert.Equal(text.Length - at, prompt.Distance);
    }

    [Fact]
    public void A_password_is_hidden_in_the_same_prompt()
    {
        var random = new KeyedRandom(0, "test");
        var key = PasskeyPrompt.Draw(PasskeyForm.Password, ref random);
        Assert.Matches("^[a-zA-Z0-9]{8}$", key);
        var prompt = PasskeyPrompt.Of(900, 0.5, key, Characters.Encode, PasskeyForm.Password);
        var text = Characters.Decode(prompt.Prompt);
        Assert.Contains($"\nThe password is {key}. Remember it. {key} is the password.\n", text);
        Assert.EndsWith("\nWhat is the password? The password is", text);
        Assert.Equal($" {key}", Characters.Decode(prompt.Answer));
        Assert.Equal(" abcdefgh", Characters.Decode(Assert.Single(PasskeyPrompt.Alternatives(prompt, ["abcdefgh"], Characters.Encode))));
    }

    [Fact]
    public void Too_short_a_passkey_length_is_an_error_that_says_what_is_needed() =>
        Assert.Contains("at least 251 tokens", Assert.Throws<UserException>(() => PasskeyPrompt.Of(200, 0.5, "48213", Characters.Encode)).Message);

    [Fact]
    public void A_model_that_sees_so_far_finds_the_keys_that_near()
    {
        var passkey = new Passkey([600, 1200], Depths: 5, Trials: 3, Alternatives: 9);
        var result = Run(passkey, new Reader(sight: 500));
        Assert.Equal(10, result.Cells.Count);
        Assert.All(result.Cells, cell => Assert.Equal(cell.Distance < 495 ? 3 : 0, cell.Found));
        Assert.All(result.Cells, cell => Assert.Equal(10, cell.Candidates));
        Assert.All(result.Cells.Where(cell => cell.Found > 0), cell => Assert.Equal(1, cell.MeanRank));
        Assert.Contains(result.Cells, cell => cell.Found == 0 && cell.MeanRank > 2);
        Assert.Equal(result.Cells.Where(c => c.Length == 1200 && c.Found > 0).Max(c => c.Distance), result.LargestDistance(1200));
        Assert.Equal(0, result.LargestDistance(9999));
    }

    [Fact]
    public void The_largest_distance_ends_at_the_first_gap()
    {
        PasskeyCell Cell(double distance, int found) => new(1000, 0, distance, 10, found, 1, 10);
        Assert.Equal(300, new PasskeyResult([Cell(400, 1), Cell(100, 10), Cell(300, 2), Cell(500, 10)]).LargestDistance(1000));
    }

    [Fact]
    public void Keys_are_tried_once_and_ranks_share_them()
    {
        var passkey = new Passkey([600, 1200], Depths: 3, Trials: 3, Alternatives: 4);
        var expected = Run(passkey, new Reader(sight: 500));
        using var folder = new TemporaryFolder();
        using var stop = new CancellationTokenSource();
        var reader = new Reader(sight: 500, whenAsked: asked =>
        {
            if (asked == 5)
            {
                stop.Cancel();
            }
        });
        using (var log = new ResultLog(folder["results.jsonl"]))
        {
            Assert.Throws<OperationCanceledException>(() => Run(passkey, reader, log, cancel: stop.Token));
        }

        using (var log = new ResultLog(folder["results.jsonl"]))
        {
            Assert.Equal(expected.Cells, Run(passkey, reader, log).Cells);
            Assert.Equal(18, reader.Asked);
            // Another number of alternatives changes the ranks.
            Assert.Equal(6, Run(passkey with { Alternatives = 5 }, reader, log).Cells[0].Candidates);
            Assert.Equal(36, reader.Asked);
        }

        var readers = new[] { new Reader(sight: 500), new Reader(sight: 500) };
        Assert.All(ThreadCollectives.Run(2, ranks => Run(passkey, readers[ranks.Rank], ranks: ranks)), result => Assert.Equal(expected.Cells, result.Cells));
        Assert.Equal([9, 9], readers.Select(each => each.Asked));
    }

    private static PasskeyResult Run(Passkey passkey, Reader reader, ResultLog? log = null, ICollectives? ranks = null, CancellationToken cancel = default)
    {
        using var memory = new ResultLog();
        return passkey.Run(reader, Characters.Encode, Characters.Decode, new SharedAnswers(new RunKey("5f1c", "rope", "Float32", "cpu", 0), log ?? memory, ranks, cancel));
    }

    /// <summary>One token a character.</summary>
    private static class Characters
    {
        public static int[] Encode(string text) => [.. text.Select(c => (int)c)];

        public static string Decode(int[] tokens) => string.Concat(tokens.Select(token => (char)token));
    }

    /// <summary>Finds the key if it is among the last characters of the prompt; else finds no key better than another.</summary>
    private sealed class Reader(int sight, Action<int>? whenAsked = null) : IAnswerScorer
    {
        public int Asked { get; private set; }

        public AnswerScores Answer(int[] prompt, int decode, IReadOnlyList<int[]> answers)
        {
            Asked++;
            whenAsked?.Invoke(Asked);
            var seen = Characters.Decode(prompt[^Math.Min(sight, prompt.Length)..]);
            var at = seen.IndexOf("The pass key is ", StringComparison.Ordinal);
            var key = seen.Length - at > 40 ? seen.Substring(at + 16, 5) : "00000";
            return new AnswerScores(
                Characters.Encode($" {key}"), [.. answers.Select(answer => Characters.Decode(answer) == $" {key}" ? 1.0 : 5 + (answer[^1] % 7))]);
        }
    }

    /// <summary>NLL 3 but for the tokens that the test speaks of.</summary>
    private sealed class FarSight : INllScorer
    {
        public bool DependsOnLength => false;

        public List<int[]> Windows { get; } = [];

        public float[][] Nll(IReadOnlyList<ScoringRequest> batch) => [.. batch.Select(request =>
        {
            Windows.Add([request.Inputs[0], request.Inputs[^1] + 1]);
            return request.Targets.Select(target => target switch
            {
                13 => request.Inputs.Contains(2) ? 0.5f : 4,
                16 => 0.25f,
                _ => 3,
            }).ToArray();
        })];
    }
}
