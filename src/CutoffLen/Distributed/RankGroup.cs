using static TorchSharp.torch;

namespace CutoffLen.Distributed;

/// <summary>
/// What moves contiguous pieces of memory between the ranks of a group. Sums take float32 and float64, moves any dtype.
/// </summary>
internal interface ITransport : IDisposable
{
    /// <summary>Where its pieces are.</summary>
    Device Device { get; }

    /// <summary>Replaces a piece by its sum over ranks.</summary>
    void AllReduce(Tensor piece);

    /// <summary>[m] receives this rank's row of the sum of [Size, m].</summary>
    void ReduceScatter(Tensor pieces, Tensor piece);

    /// <summary>[Size, m] receives the [m] of all ranks.</summary>
    void AllGather(Tensor piece, Tensor pieces);

    /// <summary>Replaces a piece by that of a rank.</summary>
    void Broadcast(Tensor piece, int root);
}

/// <summary>
/// Collectives over MPI, and over NCCL where tensors are on a GPU. A tensor goes in pieces: so counts fit MPI's 32 bits,
/// and what must be converted (bfloat16 to be summed in float32, a GPU's tensor where NCCL is missing) needs no copy of the
/// whole.
/// </summary>
/// <param name="mpi">The control plane, and the data plane of main memory.</param>
/// <param name="pieceElements">Elements of a piece, those of all ranks together.</param>
internal sealed class RankGroup(MpiTransport mpi, long pieceElements = RankGroup.PieceElements) : ICollectives
{
    private const long PieceElements = 1 << 22;

    private ITransport? gpu;

    public int Rank => mpi.Rank;

    public int Size => mpi.Size;

    public void AllReduce(Tensor flat)
    {
        var transport = TransportOf(flat);
        InPieces(flat.numel(), pieceElements, (at, count) =>
        {
            var part = flat.narrow(0, at, count);
            var piece = part.to(Summed(flat.dtype)).to(transport.Device); // the part itself where nothing is to convert
            transport.AllReduce(piece);
            part.copy_(piece);
        });
    }

    public void ReduceScatter(Tensor flat, Tensor shard)
    {
        var transport = TransportOf(flat);
        using var rows = flat.view(Size, -1); // [Size, n]
        InPieces(shard.numel(), pieceElements / Size, (at, count) =>
        {
            var pieces = rows.narrow(1, at, count).to(Summed(flat.dtype)).to(transport.Device).contiguous(); // [Size, m]
            var piece = empty([count], pieces.dtype, transport.Device);
            transport.ReduceScatter(pieces, piece);
            shard.narrow(0, at, count).copy_(piece);
        });
    }

    public void AllGather(Tensor shard, Tensor flat)
    {
        var transport = TransportOf(flat);
        using var rows = flat.view(Size, -1); // [Size, n]
        InPieces(shard.numel(), pieceElements / Size, (at, count) =>
        {
            var piece = shard.narrow(0, at, count).to(transport.Device);
            var pieces = empty([Size, count], flat.dtype, transport.Device);
            transport.AllGather(piece, pieces);
            rows.narrow(1, at, count).copy_(pieces);
        });
    }

    public void Broadcast(Tensor flat, int root)
    {
        var transport = TransportOf(flat);
        InPieces(flat.numel(), pieceElements, (at, count) =>
        {
            var part = flat.narrow(0, at, count);
            var piece = part.to(transport.Device);
            transport.Broadcast(piece, root);
            part.copy_(piece);
        });
    }

    public void Barrier() => mpi.Barrier();

    public ICollectives Split(int group) => new RankGroup(mpi.Split(group), pieceElements);

    public void Dispose()
    {
        (gpu as NcclTransport)?.Dispose(); // else it is mpi
        mpi.Dispose();
    }

    private static ScalarType Summed(ScalarType dtype) => dtype == ScalarType.Float64 ? dtype : ScalarType.Float32;

    private static void InPieces(long elements, long most, Action<long, long> move)
    {
        using var noGrad = no_grad();
        most = Math.Max(1, most);
        for (long at = 0; at < elements; at += most)
        {
            using var scope = NewDisposeScope();
            move(at, Math.Min(most, elements - at));
        }
    }

    private ITransport TransportOf(Tensor flat)
    {
        if (flat.device.type == TorchSharp.DeviceType.CPU)
        {
            return mpi;
        }

        gpu ??= NcclTransport.TryCreate(this, flat.device) ?? (ITransport)mpi;
        return gpu;
    }
}
