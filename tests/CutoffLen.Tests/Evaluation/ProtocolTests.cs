using CutoffLen.Common;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Tokenization;
using FsCheck;
using FsCheck.Fluent;

namespace CutoffLen.Tests.Evaluation;

public sealed class ProtocolTests
{
    private static readonly SpecialTokens WithBos = new(Sources.Bos, 2, [Sources.Bos], []);

    public static TheoryData<string, int, int, int> Cases => new()
    {
        { "pi", 256, 64, 1000 }, { "pi", 16, 64, 1000 }, { "pi", 16, 64, 64 }, { "pi", 7, 64, 65 }, { "pi", 64, 64, 1000 }, { "pi", 1, 5, 40 },
        { "hf-stride", 512, 64, 1000 }, { "hf-stride", 16, 64, 1001 }, { "hf-stride", 33, 64, 130 }, { "hf-stride", 64, 64, 129 },
        { "prefix", 0, 64, 1000 }, { "prefix", 0, 64, 64 }, { "yarn-trunc", 0, 64, 1000 }, { "yarn-trunc", 0, 2, 64 },
        { "longlora-all", 256, 64, 1000 }, { "longlora-all", 16, 64, 1000 }, { "longlora-all", 10, 64, 85 },
        { "llamacpp-half", 0, 64, 1000 }, { "llamacpp-half", 0, 65, 130 }, { "llamacpp-half", 0, 64, 64 },
        { "lmeval-disjoint", 0, 64, 1000 }, { "lmeval-disjoint", 0, 64, 64 }, { "lmeval-disjoint", 0, 64, 65 }, { "lmeval-disjoint", 0, 64, 66 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void The_number_is_the_one_of_the_sources_own_loop(string protocol, int stride, int length, int tokens)
    {
        foreach (var dependsOnLength in new[] { false, true })
        {
            var text = Text(tokens, seed: 3);
            var scorer = new FakeScorer(dependsOnLength);
            var scores = Sweep(scorer, [Protocol(protocol, stride)], [length], text);

            var measured = PerplexityStatistics.Perplexity(scores, 0).Lengths[0].MeanNll!.Value;

            var expected = Sources.Of(protocol, text.Tokens, length, stride, (read, position, target) => scorer.Nll(read.AsSpan(0, position + 1), target, read.Length));
            Assert.Equal(expected, measured, 1e-9);
        }
    }

    [Fact]
    public void Every_protocol_at_every_length_is_the_same_measured_alone_or_with_the_others()
    {
        int[] lengths = [16, 48, 64, 200, 256];
        var texts = new[] { Text(700, 1), Text(256, 2), Text(100, 3), Text(15, 4) };
        PerplexityProtocol[] protocols = [.. PerplexityProtocols.All, PerplexityProtocols.Parse("pi", 16), PerplexityProtocols.Parse("longlora-all", 32)];
        foreach (var dependsOnLength in new[] { false, true })
        {
            var together = Sweep(new FakeScorer(dependsOnLength), protocols, lengths, texts);
            for (var p = 0; p < protocols.Length; p++)
            {
                var alone = PerplexityStatistics.Perplexity(Sweep(new FakeScorer(dependsOnLength), [protocols[p]], lengths, texts), 0);
                var shared = PerplexityStatistics.Perplexity(together, p);
                Assert.Equal(alone.Lengths.Select(r => (r.MeanNll, r.Tokens, r.Documents, r.DocumentsLeftOut, r.Windows)), shared.Lengths.Select(r => (r.MeanNll, r.Tokens, r.Documents, r.DocumentsLeftOut, r.Windows)));
            }
        }
    }

    [Fact]
    public void Each_token_is_scored_as_often_as_the_protocol_says_at_any_stride()
    {
        var sizes = from stride in Gen.Choose(1, 80) from length in Gen.Choose(2, 60) from extra in Gen.Choose(0, 200) select (stride, length, tokens: length + extra);
        Prop.ForAll(sizes.ToArbitrary(), c => Counts(new PiSliding(c.stride), c) is var pi
            && Counts(new HuggingFaceStride(c.stride), c).SequenceEqual(pi)
            && pi.Select((n, i) => n == (IsBlind(i, c) ? 0 : 1)).All(ok => ok)
            && Counts(new Prefix(), c).Select((n, i) => n == (i >= 1 && i < c.length ? 1 : 0)).All(ok => ok)
            && Counts(new YarnTruncated(), c).SequenceEqual(Counts(new Prefix(), c))
            && Counts(new LmEvalDisjoint(), c).Select((n, i) => n == (i == 0 ? 0 : 1)).All(ok => ok)
            && Counts(new LlamaCppHalf(), c).Select((n, i) => n == (i / c.length < c.tokens / c.length && i % c.length > c.length / 2 ? 1 : 0)).All(ok => ok)
            && Counts(new LongLoraAll(c.stride), c).Select((n, i) => n == LongLoraCount(i, c)).All(ok => ok)).QuickCheckThrowOnFailure();

        // The first token of a window has no context in it; only a stride of the whole length leaves such tokens unscored.
        static bool IsBlind(int i, (int Stride, int Length, int Tokens) c) => i == 0 || (c.Stride >= c.Length && i % c.Length == 0);

        static int LongLoraCount(int i, (int Stride, int Length, int Tokens) c)
        {
            var starts = Enumerable.Range(0, c.Tokens).Where(s => s % c.Stride == 0 && s < c.Tokens - c.Length).SkipLast(1);
            return starts.Count(s => i > s && i < s + c.Length);
        }
    }

    [Fact]
    public void Windows_stay_inside_the_text_and_score_nothing_without_context()
    {
        var sizes = from stride in Gen.Choose(1, 80) from length in Gen.Choose(2, 60) from tokens in Gen.Choose(0, 260) select (stride, length, tokens);
        Prop.ForAll(sizes.ToArbitrary(), c => Strided(c.stride).All(protocol => protocol.Windows(c.tokens, c.length).All(w =>
            w.Start >= 0 && w.InputEnd <= c.tokens && w.Length <= c.length && w.FirstTarget > w.Start && w.Targets > 0
            && w.TargetEnd <= Math.Min(w.InputEnd + 1, c.tokens)))).QuickCheckThrowOnFailure();
        Assert.All(Strided(5), protocol => Assert.Empty(protocol.Windows(9, 10)));
    }

    [Fact]
    public void Bos_is_where_each_protocol_says()
    {
        // A tokenizer that has a BOS but does not add it: Yarn and the harness do, the others do not.
        var special = new SpecialTokens(Bos: 9, Eos: 8, Before: [], After: []);
        var text = new EvaluationDocument("t", [5, 6, 7], 1, 1);
        Assert.Equal([5, 6, 7], Stream(text, DocumentStart.AsTokenized, special));
        Assert.Equal([9, 5, 6, 7], Stream(text, DocumentStart.Bos, special));
        Assert.Equal([9, 5, 6, 7], Stream(text, DocumentStart.BosOrEos, special));
        Assert.Equal([5, 6, 7], Stream(text, DocumentStart.Bos, special with { Bos = null }));
        Assert.Equal([8, 5, 6, 7], Stream(text, DocumentStart.BosOrEos, special with { Bos = null }));
        // Where the tokenizer put it, nobody puts a second one.
        var begun = text with { Tokens = [9, 5, 6] };
        Assert.Equal([9, 5, 6], Stream(begun, DocumentStart.Bos, special with { Before = [9] }));
        Assert.Equal([5, 6], text.Slice(9, 1, 3));

        static int[] Stream(EvaluationDocument text, DocumentStart start, SpecialTokens special)
        {
            var prefix = text.Prefix(start, special);
            return text.Slice(prefix, 0, text.Tokens.Length + (prefix is null ? 0 : 1));
        }
    }

    [Theory]
    [InlineData("pi-s256", null, "pi-s256")]
    [InlineData("pi-s256", 512, "pi-s512")]
    [InlineData("pi-s64", null, "pi-s64")]
    [InlineData("hf-stride", null, "hf-stride")]
    [InlineData("hf-stride", 256, "hf-stride-s256")]
    [InlineData("hf-stride-s128", null, "hf-stride-s128")]
    [InlineData("longlora-all", 100, "longlora-all-s100")]
    [InlineData("llamacpp-half", null, "llamacpp-half")]
    public void A_stride_changes_the_name(string given, int? stride, string name) =>
        Assert.Equal(name, PerplexityProtocols.Parse(given, stride).Name);

    [Fact]
    public void Every_name_leads_back_to_its_protocol() =>
        Assert.All(PerplexityProtocols.All, protocol => Assert.Same(protocol.GetType(), PerplexityProtocols.Parse(protocol.Name).GetType()));

    [Theory]
    [InlineData("wikitext", null, "pi-s256, prefix, yarn-trunc")]
    [InlineData("prefix", 64, "has no stride")]
    [InlineData("pi-s256", 0, "at least 1")]
    [InlineData("pi-s0", null, "no protocol 'pi-s0'")]
    public void What_cannot_be_is_said(string given, int? stride, string message) =>
        Assert.Contains(message, Assert.Throws<UserException>(() => PerplexityProtocols.Parse(given, stride)).Message);

    private static int[] Counts(PerplexityProtocol protocol, (int Stride, int Length, int Tokens) c)
    {
        var counts = new int[c.Tokens];
        foreach (var window in protocol.Windows(c.Tokens, c.Length))
        {
            for (var i = window.FirstTarget; i < window.TargetEnd; i++)
            {
                counts[i]++;
            }
        }

        return counts;
    }

    private static IEnumerable<PerplexityProtocol> Strided(int stride) =>
        [new PiSliding(stride), new Prefix(), new YarnTruncated(), new LongLoraAll(stride), new LlamaCppHalf(), new LmEvalDisjoint(), new HuggingFaceStride(stride)];

    private static PerplexityProtocol Protocol(string name, int stride) => PerplexityProtocols.Parse(name, stride == 0 ? null : stride);

    private static PerplexityScores Sweep(FakeScorer scorer, IReadOnlyList<PerplexityProtocol> protocols, int[] lengths, params EvaluationDocument[] texts)
    {
        using var folder = new TemporaryFolder();
        using var log = new ResultLog(folder["results.jsonl"]);
        return new PerplexityEvaluation(new PerplexityPlan(protocols, lengths, WithBos), texts, log, batchTokens: 300).Run(scorer, PerplexityEvaluationTests.Key);
    }

    private static EvaluationDocument Text(int tokens, int seed)
    {
        var random = new Random(seed);
        return new EvaluationDocument($"text {seed}", [Sources.Bos, .. Enumerable.Range(0, tokens - 1).Select(_ => random.Next(3, 1000))], tokens / 2, tokens * 4);
    }
}
