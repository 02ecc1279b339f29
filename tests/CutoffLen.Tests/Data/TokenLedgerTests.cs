using System.Text.Json;
using CutoffLen.Data;
using CutoffLen.Positions.PositionIds;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Data;

public sealed class TokenLedgerTests
{
    private static readonly SpecialTokens Bos = new(1, null, [1], []);

    [Theory]
    [InlineData(Packing.Documents, 0, 2, 0, 2)]
    [InlineData(Packing.Concat, 0, 2, 0, 2)]
    [InlineData(Packing.Pad, 2, 0, 14, 4)]
    public void Every_document_and_token_is_accounted_for(Packing packing, int truncated, int split, int lost, int rows)
    {
        // With BOS 4, 27, 5 and 27 tokens: a cutoff of 20 is too short for two of them.
        using var corpus = new Corpus([3, 26, 4, 26], Bos);
        var ledger = TokenLedger.Of(corpus.Documents, new TrainingSequences(corpus.Documents, 20, packing, seed: 1), nativeLength: 16);

        Assert.Equal(new DocumentCounts(4, 0, truncated, split), ledger.Documents);
        Assert.Equal((63, 4, 63 - lost, lost), (ledger.Tokens.In, ledger.Tokens.Markers, ledger.Tokens.Out, ledger.Tokens.Truncated));
        Assert.Equal(ledger.Sequences.Count * 20, ledger.Tokens.Out + ledger.Tokens.Padding);
        Assert.InRange(ledger.Sequences.Count, rows, 4);
        Assert.Equal(20, ledger.Sequences.LongestSpan);
        Assert.DoesNotContain(ledger.Warnings, warning => warning.Contains("cannot move"));
    }

    [Fact]
    public void Empty_documents_are_counted()
    {
        using var corpus = new Corpus([3, 0, 5, 0, 0]);
        var ledger = TokenLedger.Of(corpus.Documents, new TrainingSequences(corpus.Documents, 4, Packing.Documents, seed: 1), 2);
        Assert.Equal(new DocumentCounts(Read: 5, Dropped: 3, Truncated: 0, Split: 1), ledger.Documents);
    }

    [Theory]
    [InlineData(Packing.Documents, 12, true)]
    [InlineData(Packing.Documents, 9, false)]
    [InlineData(Packing.Pad, 12, true)]
    [InlineData(Packing.Concat, 12, false)]
    [InlineData(Packing.Concat, 20, true)]
    public void Training_that_cannot_move_the_limit_is_warned_of(Packing packing, int native, bool warns)
    {
        using var corpus = new Corpus([3, 10, 4, 12]);
        var ledger = TokenLedger.Of(corpus.Documents, new TrainingSequences(corpus.Documents, 20, packing, seed: 1), native);
        Assert.Equal(warns, ledger.Warnings.Any(warning => warning.Contains("cannot move the context limit") && warning.Contains($"{native} tokens")));
    }

    [Fact]
    public void Positions_that_reach_further_need_no_warning_but_joined_short_documents_do()
    {
        using var corpus = new Corpus([3, 10, 4, 12], Bos);
        var packed = new TrainingSequences(corpus.Documents, 20, Packing.Documents, seed: 1);
        Assert.Empty(TokenLedger.Of(corpus.Documents, packed, nativeLength: 20, target: 64).Warnings);
        var joined = new TrainingSequences(corpus.Documents, 20, Packing.Concat, seed: 1);
        Assert.Contains("nothing to say to each other", Assert.Single(TokenLedger.Of(corpus.Documents, joined, nativeLength: 16).Warnings));
    }

    [Fact]
    public void Only_stretches_longer_than_native_are_beyond_it()
    {
        using var corpus = new Corpus([10, 11, 12, 3]);
        var sequences = new TrainingSequences(corpus.Documents, 12, Packing.Pad, seed: 1);
        Assert.Equal((12, 1), (Of(11).LongestSpan, Of(11).SpansBeyondNative));
        Assert.Equal(2, Of(10).SpansBeyondNative);
        Assert.Equal(0, Of(12).SpansBeyondNative);

        SequenceCounts Of(int native) => TokenLedger.Of(corpus.Documents, sequences, native).Sequences;
    }

    [Fact]
    public void Documents_joined_without_a_mark_between_them_are_warned_of()
    {
        using var corpus = new Corpus([30, 40]);
        var joined = new TrainingSequences(corpus.Documents, 20, Packing.Concat, seed: 1);
        Assert.Contains("BOS", Assert.Single(TokenLedger.Of(corpus.Documents, joined, nativeLength: 10).Warnings));
    }

    [Fact]
    public void Trained_tokens_are_counted_by_the_position_they_stood_at()
    {
        using var corpus = new Corpus([300, 40, 5]);
        var sequences = new TrainingSequences(corpus.Documents, 256, Packing.Documents, seed: 1);
        var trained = TokenLedger.Of(corpus.Documents, sequences, nativeLength: 100).Trained;
        Assert.Equal([(0, 64), (64, 100), (100, 128), (128, 256)], trained.Positions.Select(b => (b.From, b.To)));
        for (var index = 0; index < sequences.Count; index++)
        {
            trained = trained.With(sequences[0, index], sequences[0, index].Positions, native: 100);
        }

        // 256 + 44 of the first (its last has no target), 39 and 4 of the others.
        Assert.Equal((2, 256 + 43 + 39 + 4, 156), (trained.Sequences, trained.Targets, trained.BeyondNative));
        Assert.Equal([64 + 43 + 39 + 4, 36, 28, 128], trained.Positions.Select(bucket => bucket.Tokens));
    }

    [Theory]
    [InlineData(100, 4096)]
    [InlineData(64, 65)]
    [InlineData(5000, 4096)]
    [InlineData(1, 1)]
    public void Buckets_cover_every_position_once_and_the_native_length_ends_one(int native, int reach)
    {
        var buckets = TrainedCounts.None(native, reach).Positions;
        Assert.Equal(0, buckets[0].From);
        Assert.Equal(reach, buckets[^1].To);
        Assert.All(buckets.Zip(buckets.Skip(1)), pair => Assert.Equal(pair.First.To, pair.Second.From));
        Assert.All(buckets, bucket => Assert.True(bucket.From < bucket.To));
        Assert.Equal(native < reach, buckets.Any(bucket => bucket.To == native && native != reach));
    }

    [Fact]
    public void Positions_drawn_up_to_a_target_are_counted_there()
    {
        using var corpus = new Corpus([200]);
        var sequences = new TrainingSequences(corpus.Documents, 128, Packing.Documents, seed: 1);
        var trained = TokenLedger.Of(corpus.Documents, sequences, nativeLength: 128, target: 1024).Trained;
        for (var step = 0; step < 40; step++)
        {
            var row = sequences[step, 0];
            trained = trained.With(row, new RandomizedSampler().Sample(row.Positions, 1024, new(1, step, 0), padding: row.Padding), 128);
        }

        Assert.Equal(trained.Targets, trained.Positions.Sum(bucket => bucket.Tokens));
        Assert.Equal(0.875, trained.BeyondNative / (double)trained.Targets, 0.05);
    }

    [Fact]
    public void Json_has_snake_case_keys_and_reads_back()
    {
        using var corpus = new Corpus([3, 26]);
        var sequences = new TrainingSequences(corpus.Documents, 20, Packing.Pad, seed: 1);
        var ledger = TokenLedger.Of(corpus.Documents, sequences, nativeLength: 32);
        ledger = ledger with { Trained = ledger.Trained.With(sequences[0, 0], sequences[0, 0].Positions, 32) };

        using var json = JsonDocument.Parse(ledger.ToJson());
        Assert.Equal("pad", json.RootElement.GetProperty("packing").GetString());
        Assert.Equal(20, json.RootElement.GetProperty("cutoff_len").GetInt32());
        Assert.Equal(1, json.RootElement.GetProperty("documents").GetProperty("truncated").GetInt64());
        Assert.Equal(0, json.RootElement.GetProperty("trained").GetProperty("beyond_native").GetInt64());
        Assert.Equal(ledger.ToJson(), TokenLedger.FromJson(ledger.ToJson()).ToJson());
    }
}
