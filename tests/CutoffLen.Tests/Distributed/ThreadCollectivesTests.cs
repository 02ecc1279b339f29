using static TorchSharp.torch;

namespace CutoffLen.Tests.Distributed;

public sealed class ThreadCollectivesTests
{
    [Fact]
    public void Ranks_get_sums_and_parts_of_all()
    {
        var results = ThreadCollectives.Run(3, group =>
        {
            using var scope = NewDisposeScope();
            var own = arange(6).to(ScalarType.Float32) * (group.Rank + 1); // 0 1 2 3 4 5, twice and three times that
            var (shard, all) = (empty([2]), empty([6]));
            group.ReduceScatter(own, shard);
            group.AllGather(shard, all);
            group.AllReduce(own);
            group.Broadcast(shard, root: 2);
            return new[] { own, all, shard }.SelectMany(tensor => tensor.data<float>().ToArray()).ToArray();
        });
        Assert.All(results, result => Assert.Equal([0, 6, 12, 18, 24, 30, 0, 6, 12, 18, 24, 30, 24, 30], result));
    }

    [Fact]
    public void A_fault_of_one_rank_ends_all()
    {
        var fault = Assert.Throws<InvalidOperationException>(() => ThreadCollectives.Run(3, group =>
        {
            group.Barrier();
            if (group.Rank == 1)
            {
                throw new InvalidOperationException("of rank 1");
            }

            group.Barrier();
            return 0;
        }));
        Assert.Equal("of rank 1", fault.Message);
    }
}
