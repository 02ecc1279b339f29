using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace CutoffLen.Distributed;

/// <summary>Moves pieces of main memory by MPI.</summary>
internal sealed class MpiTransport(MpiLibrary mpi, nint communicator) : ITransport
{
    public int Rank { get; } = mpi.Rank(communicator);

    public int Size { get; } = mpi.Size(communicator);

    public Device Device => CPU;

    public void AllReduce(Tensor piece) => mpi.AllReduce(TensorMemory.Of(piece), (int)piece.numel(), TypeOf(piece), communicator);

    public void ReduceScatter(Tensor pieces, Tensor piece) => mpi.ReduceScatterBlock(
        TensorMemory.Of(pieces), TensorMemory.Of(piece), (int)piece.numel(), TypeOf(piece), communicator);

    public void AllGather(Tensor piece, Tensor pieces) => mpi.AllGather(
        TensorMemory.Of(piece), TensorMemory.Of(pieces), (int)(piece.numel() * piece.ElementSize), communicator);

    public void Broadcast(Tensor piece, int root) => mpi.Broadcast(TensorMemory.Of(piece), (int)(piece.numel() * piece.ElementSize), root, communicator);

    public void Barrier() => mpi.Barrier(communicator);

    public MpiTransport Split(int group) => new(mpi, mpi.Split(communicator, group, Rank));

    public void Dispose()
    {
        if (communicator != mpi.World)
        {
            mpi.Free(communicator);
        }
    }

    private nint TypeOf(Tensor piece) => piece.dtype == ScalarType.Float64 ? mpi.Double : mpi.Float;
}

/// <summary>Addresses of tensors, which TorchSharp keeps to itself for those on a GPU.</summary>
internal static partial class TensorMemory
{
    /// <summary>The address of a contiguous tensor's first element.</summary>
    public static nint Of(Tensor tensor) => Address(tensor.Handle);

    [LibraryImport("LibTorchSharp", EntryPoint = "THSTensor_data")]
    private static partial nint Address(nint tensor);
}
