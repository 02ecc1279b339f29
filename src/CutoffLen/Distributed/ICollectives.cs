using static TorchSharp.torch;

namespace CutoffLen.Distributed;

/// <summary>
/// Collectives of a group of ranks over flat, contiguous tensors. Sums take float32, bfloat16 (summed in float32) and
/// float64. Every rank of the group calls the same ones in the same order. A call returns when its result can be read on
/// the tensor's device.
/// </summary>
public interface ICollectives : IDisposable
{
    /// <summary>This rank's number in the group, from 0.</summary>
    int Rank { get; }

    /// <summary>How many ranks the group has.</summary>
    int Size { get; }

    /// <summary>Replaces a tensor by its sum over ranks. Every rank gets the same bits.</summary>
    void AllReduce(Tensor flat);

    /// <summary>Gives each rank its part of the sum over ranks.</summary>
    /// <param name="flat">[Size * n] this rank's addend; kept.</param>
    /// <param name="shard">[n] receives elements Rank * n to (Rank + 1) * n of the sum; of flat's dtype, or float32.</param>
    void ReduceScatter(Tensor flat, Tensor shard);

    /// <summary>Gives every rank the parts of all ranks.</summary>
    /// <param name="shard">[n] this rank's part, of any dtype; may be its place in <paramref name="flat"/>.</param>
    /// <param name="flat">[Size * n] receives the parts, by rank.</param>
    void AllGather(Tensor shard, Tensor flat);

    /// <summary>Gives every rank the tensor of one, of any dtype.</summary>
    void Broadcast(Tensor flat, int root);

    /// <summary>Returns when every rank has called it.</summary>
    void Barrier();

    /// <summary>The group of the ranks that name the same <paramref name="group"/>, in this group's order.</summary>
    ICollectives Split(int group);
}
