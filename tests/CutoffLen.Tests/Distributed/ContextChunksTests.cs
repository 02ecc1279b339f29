using CutoffLen.Distributed;

namespace CutoffLen.Tests.Distributed;

public sealed class ContextChunksTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(5)]
    public void Every_chunk_has_one_owner_and_every_rank_the_same_causal_work(int ranks)
    {
        var owned = Enumerable.Range(0, ranks).Select(rank => new ContextChunks(rank, ranks)).ToList();
        Assert.Equal(Enumerable.Range(0, 2 * ranks), owned.SelectMany(chunks => new[] { chunks.Own.Early, chunks.Own.Late }).Order());
        Assert.All(owned, chunks =>
        {
            Assert.Equal((chunks.Rank, 0), chunks.OwnerOf(chunks.Own.Early));
            Assert.Equal((chunks.Rank, 1), chunks.OwnerOf(chunks.Own.Late));
            Assert.Equal((2 * ranks) - 1, chunks.Own.Early + chunks.Own.Late); // chunks before those of this rank
        });
    }

    [Fact]
    public void A_rank_has_a_chunk_from_each_half_of_a_row()
    {
        int[] row = [.. Enumerable.Range(0, 12)];
        Assert.Equal([0, 1, 2, 9, 10, 11], new ContextChunks(0, 2).OwnOf<int>(row));
        Assert.Equal([3, 4, 5, 6, 7, 8], new ContextChunks(1, 2).OwnOf<int>(row));
        Assert.Equal([4, 5, 6, 7], new ContextChunks(2, 3).OwnOf<int>(row));
    }

    [Theory]
    [InlineData(48, 48)]
    [InlineData(49, 56)]
    [InlineData(1, 8)]
    public void A_row_is_padded_to_whole_chunks(int length, int padded) => Assert.Equal(padded, new ContextChunks(0, 4).PaddedLength(length));
}
