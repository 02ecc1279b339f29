using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Tokenization;
using FsCheck;
using FsCheck.Fluent;

namespace CutoffLen.Tests.Data;

public sealed class TrainingSequencesTests
{
    private const int Bos = 1;
    private const int Eos = 2;
    private const int Pad = 3;

    private static readonly SpecialTokens Special = new(Bos, Eos, [Bos], [Eos]);

    [Theory]
    [InlineData(Packing.Documents)]
    [InlineData(Packing.Concat)]
    public void Every_token_of_every_document_stands_in_exactly_one_row_of_an_epoch(Packing packing) => ForAll(drawn =>
    {
        using var corpus = new Corpus(drawn.Lengths, drawn.Special);
        var sequences = Sequences(corpus, drawn, packing);
        for (var epoch = 0; epoch < 2; epoch++)
        {
            var seen = Rows(sequences, epoch).SelectMany(row => row.Spans)
                .SelectMany(span => Enumerable.Range(0, span.Length).Select(t => (span.Document, span.Offset + t))).ToList();
            var all = Enumerable.Range(0, corpus.Documents.Count)
                .SelectMany(d => Enumerable.Range(0, (int)corpus.Documents.Length(d)).Select(t => (d, (long)t)));
            Assert.Equal(all.Order(), seen.Order());
        }
    });

    [Theory]
    [InlineData(Packing.Documents)]
    [InlineData(Packing.Concat)]
    [InlineData(Packing.Pad)]
    public void Rows_hold_the_tokens_of_their_spans_and_then_padding(Packing packing) => ForAll(drawn =>
    {
        using var corpus = new Corpus(drawn.Lengths, drawn.Special);
        foreach (var row in Rows(Sequences(corpus, drawn, packing), epoch: 1))
        {
            var expected = row.Spans.SelectMany(span => corpus.Documents.Read(span.Document)[(int)span.Offset..][..span.Length]).ToList();
            Assert.Equal(drawn.Cutoff, row.Tokens.Length);
            Assert.Equal(drawn.Cutoff - expected.Count, row.Padding);
            Assert.Equal([.. expected, .. Enumerable.Repeat(Pad, row.Padding)], row.Tokens);
        }
    });

    [Theory]
    [InlineData(Packing.Documents)]
    [InlineData(Packing.Pad)]
    public void Documents_are_counted_from_0_and_never_share_attention(Packing packing) => ForAll(drawn =>
    {
        using var corpus = new Corpus(drawn.Lengths, drawn.Special);
        foreach (var row in Rows(Sequences(corpus, drawn, packing), epoch: 0))
        {
            var lengths = row.Spans.Select(span => span.Length).Concat(Enumerable.Repeat(1, row.Padding));
            Assert.Equal(lengths.SelectMany(length => Enumerable.Range(0, length)), row.Positions.Ids);
            Assert.Equal(lengths.SkipLast(1).Aggregate(new List<int> { 0 }, (starts, length) => [.. starts, starts[^1] + length]), row.Positions.DocumentStarts);
        }
    });

    [Fact]
    public void Joined_documents_are_one_to_attention() => ForAll(drawn =>
    {
        using var corpus = new Corpus(drawn.Lengths, drawn.Special);
        foreach (var row in Rows(Sequences(corpus, drawn, Packing.Concat), epoch: 0))
        {
            var used = drawn.Cutoff - row.Padding;
            Assert.Equal(Enumerable.Range(0, used), row.Positions.Ids[..used]);
            Assert.Equal([0, .. Enumerable.Range(used, row.Padding)], row.Positions.DocumentStarts);
        }
    });

    [Theory]
    [InlineData(Packing.Documents)]
    [InlineData(Packing.Concat)]
    public void Every_token_but_the_first_of_what_attention_sees_is_a_target_once(Packing packing) => ForAll(drawn =>
    {
        using var corpus = new Corpus(drawn.Lengths, drawn.Special);
        var targets = Rows(Sequences(corpus, drawn, packing), epoch: 0).SelectMany(row => row.Targets).Where(t => t != TrainingSequence.Ignore);
        var documents = Enumerable.Range(0, corpus.Documents.Count).Select(corpus.Documents.Read);
        var expected = packing == Packing.Concat ? documents.SelectMany(d => d).Skip(1) : documents.SelectMany(d => d.Skip(1));
        Assert.Equal(expected.Order(), targets.Order());
    });

    [Theory]
    [InlineData(Packing.Documents)]
    [InlineData(Packing.Pad)]
    public void A_target_is_the_next_token_of_the_same_document(Packing packing) => ForAll(drawn =>
    {
        using var corpus = new Corpus(drawn.Lengths, drawn.Special);
        foreach (var row in Rows(Sequences(corpus, drawn, packing), epoch: 0))
        {
            var expected = row.Spans.SelectMany(span =>
            {
                int[] document = [.. corpus.Documents.Read(span.Document), TrainingSequence.Ignore];
                return document[((int)span.Offset + 1)..][..span.Length];
            });
            Assert.Equal([.. expected, .. Enumerable.Repeat(TrainingSequence.Ignore, row.Padding)], row.Targets);
            Assert.Equal(row.Targets.Count(t => t != TrainingSequence.Ignore), row.TargetCount);
        }
    });

    [Fact]
    public void Padded_documents_lose_only_what_is_beyond_the_cutoff()
    {
        using var corpus = new Corpus([3, 9, 5], Special);
        var rows = Rows(new TrainingSequences(corpus.Documents, 7, Packing.Pad, seed: 1, Pad), 0).OrderBy(row => row.Spans[0].Document).ToList();
        Assert.Equal([2, 0, 0], rows.Select(row => row.Padding));
        Assert.Equal([0, 1, 2, 3, 4, 0, 0], rows[0].Positions.Ids);
        Assert.Equal([Bos, .. corpus.Texts[1][..6]], rows[1].Tokens);
        Assert.Equal([.. corpus.Texts[1][..7]], rows[1].Targets); // the seventh character has its target though it has no row
        Assert.Equal([Bos, .. corpus.Texts[2], Eos], rows[2].Tokens);
        Assert.Equal(TrainingSequence.Ignore, rows[2].Targets[^1]);
    }

    [Theory]
    [InlineData(Packing.Documents)]
    [InlineData(Packing.Concat)]
    [InlineData(Packing.Pad)]
    public void Going_on_at_an_index_gives_what_an_undisturbed_run_gets(Packing packing) => ForAll(drawn =>
    {
        using var corpus = new Corpus(drawn.Lengths, drawn.Special);
        var undisturbed = Sequences(corpus, drawn, packing);
        var all = Enumerable.Range(0, 3).SelectMany(epoch => Rows(undisturbed, epoch)).ToList();
        for (var at = all.Count - 1; at >= 0; at -= 1 + (all.Count / 5))
        {
            var row = Sequences(corpus, drawn, packing)[at / undisturbed.Count, at % undisturbed.Count];
            Assert.Equal(all[at].Tokens, row.Tokens);
            Assert.Equal(all[at].Targets, row.Targets);
            Assert.Equal(all[at].Positions.Ids, row.Positions.Ids);
        }
    });

    [Theory]
    [InlineData(Packing.Documents)]
    [InlineData(Packing.Concat)]
    [InlineData(Packing.Pad)]
    public void Epochs_and_seeds_each_have_their_own_order(Packing packing)
    {
        using var corpus = new Corpus([.. Enumerable.Repeat(10, 60)]);
        string Order(long seed, int epoch) => string.Join(' ', Rows(new TrainingSequences(corpus.Documents, 10, packing, seed), epoch).Select(r => r.Spans[0].Document));
        Assert.Equal(Order(1, 0), Order(1, 0));
        Assert.Equal(Enumerable.Range(0, 60), Order(1, 0).Split(' ').Select(int.Parse).Order());
        Assert.Equal(4, new[] { Order(1, 0), Order(1, 1), Order(2, 0), Order(2, 1) }.Distinct().Count());
    }

    [Fact]
    public void Documents_are_packed_with_new_neighbours_each_epoch()
    {
        using var corpus = new Corpus([.. Enumerable.Repeat(5, 60)]);
        var sequences = new TrainingSequences(corpus.Documents, 10, Packing.Documents, seed: 1);
        HashSet<(int, int)> Pairs(int epoch) => [.. Rows(sequences, epoch).Select(r => (Math.Min(r.Spans[0].Document, r.Spans[1].Document), Math.Max(r.Spans[0].Document, r.Spans[1].Document)))];
        Assert.Equal(30, sequences.Count);
        Assert.InRange(Pairs(0).Intersect(Pairs(1)).Count(), 0, 5);
    }

    [Fact]
    public void Packing_cuts_nothing_that_fits_and_leaves_little_room()
    {
        var random = new KeyedRandom(3, "lengths");
        var lengths = new int[3_000];
        foreach (ref var length in lengths.AsSpan())
        {
            length = random.Between(1, 1 + (int)random.Below(200));
        }

        using var corpus = new Corpus(lengths);
        var sequences = new TrainingSequences(corpus.Documents, 128, Packing.Documents, seed: 1);
        var rows = Rows(sequences, 0).ToList();
        Assert.Equal(lengths.Sum(length => (length + 127) / 128), rows.Sum(row => row.Spans.Count));
        Assert.InRange(rows.Sum(row => row.Padding) / (double)(rows.Count * 128), 0, 0.01);
    }

    [Fact]
    public void Each_piece_goes_where_the_least_room_is_left()
    {
        // 7, 6, 4, 3 into rows of 10: 7 and 6 open rows; 4 fits only beside 6 (exactly), 3 beside 7.
        using var corpus = new Corpus([3, 6, 7, 4]);
        var rows = Rows(new TrainingSequences(corpus.Documents, 10, Packing.Documents, seed: 1), 0).ToList();
        Assert.Equal(["1,3", "2,0"], rows.Select(row => string.Join(',', row.Spans.Select(span => span.Document))).Order());
        Assert.All(rows, row => Assert.Equal(0, row.Padding));
    }

    [Fact]
    public void A_row_can_say_where_its_tokens_came_from()
    {
        using var corpus = new Corpus([4, 12]);
        var sequences = new TrainingSequences(corpus.Documents, 10, Packing.Documents, seed: 1);
        var described = Rows(sequences, 0).Select(sequences.Describe).Order(StringComparer.Ordinal).ToList();
        Assert.Matches(@"data\.jsonl line 1 tokens 0\.\.3, .*data\.jsonl line 2 tokens 10\.\.11$", described[0]);
        Assert.EndsWith("data.jsonl line 2 tokens 0..9", described[1]);
    }

    private sealed record Drawn(int[] Lengths, int Cutoff, SpecialTokens Special, long Seed);

    private static void ForAll(Action<Drawn> holds)
    {
        var drawn =
            from lengths in Gen.Choose(1, 40).ArrayOf().Where(all => all.Length > 0)
            from cutoff in Gen.Choose(2, 24)
            from special in Gen.Elements(SpecialTokens.None, Special, new SpecialTokens(null, null, [Bos], []), new SpecialTokens(null, null, [], [Eos]))
            from seed in Gen.Choose(0, 1_000_000)
            select new Drawn(lengths, cutoff, special, seed);
        Prop.ForAll(drawn.ToArbitrary(), holds).Check(Config.QuickThrowOnFailure.WithReplay(20261121, 1).WithMaxTest(40));
    }

    private static TrainingSequences Sequences(Corpus corpus, Drawn drawn, Packing packing) =>
        new(corpus.Documents, drawn.Cutoff, packing, drawn.Seed, Pad);

    private static IEnumerable<TrainingSequence> Rows(TrainingSequences sequences, int epoch) =>
        Enumerable.Range(0, sequences.Count).Select(index => sequences[epoch, index]);
}
