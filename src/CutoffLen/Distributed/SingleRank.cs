using static TorchSharp.torch;

namespace CutoffLen.Distributed;

/// <summary>A group of one rank: a process that no launcher started.</summary>
internal sealed class SingleRank : ICollectives
{
    public static SingleRank Instance { get; } = new();

    public int Rank => 0;

    public int Size => 1;

    public void AllReduce(Tensor flat)
    {
    }

    public void ReduceScatter(Tensor flat, Tensor shard) => shard.copy_(flat);

    public void AllGather(Tensor shard, Tensor flat) => flat.copy_(shard);

    public void Broadcast(Tensor flat, int root)
    {
    }

    public void Barrier()
    {
    }

    public ICollectives Split(int group) => this;

    public void Dispose()
    {
    }
}
