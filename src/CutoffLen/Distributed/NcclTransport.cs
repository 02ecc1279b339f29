using System.Runtime.InteropServices;
using CutoffLen.Common;
using CutoffLen.Hardware;
using Serilog;
using static TorchSharp.torch;

namespace CutoffLen.Distributed;

/// <summary>
/// Moves pieces of GPU memory by NCCL 2, one GPU a rank, on the default stream: what torch does before and after is in
/// order.
/// </summary>
internal sealed unsafe class NcclTransport : ITransport
{
    private const string Library = "libnccl.so.2";
    private const nint DefaultStream = 0;
    private const int Bytes = 0; // ncclInt8
    private const int Float = 7; // ncclFloat32
    private const int Double = 8; // ncclFloat64
    private const int Sum = 0; // ncclSum

    private static bool isMissingSaid;

    private readonly nint library;
    private readonly nint communicator;

    private NcclTransport(nint library, ICollectives ranks, Device device)
    {
        (this.library, Device) = (library, device);
        CudaDriver.MakeCurrent(device.index);
        var bytes = ranks.FromFirst(UniqueId); // every rank joins by the id that rank 0 makes
        var id = MemoryMarshal.Read<NcclUniqueId>(bytes);
        nint made;
        Check(((delegate* unmanaged<nint*, int, NcclUniqueId, int, int>)Export("ncclCommInitRank"))(&made, ranks.Size, id, ranks.Rank));
        communicator = made;
    }

    public Device Device { get; }

    /// <summary>For example 2.27.3; null where it is missing.</summary>
    public static string? Version
    {
        get
        {
            if (!NativeLibrary.TryLoad(Library, out var library))
            {
                return null;
            }

            int number; // 22703; before 2.9 it was 2804
            _ = ((delegate* unmanaged<int*, int>)NativeLibrary.GetExport(library, "ncclGetVersion"))(&number);
            return number < 10_000 ? $"{number / 1000}.{number / 100 % 10}.{number % 100}" : $"{number / 10_000}.{number / 100 % 100}.{number % 100}";
        }
    }

    /// <summary>NCCL between the GPUs of a group; null where a rank lacks it.</summary>
    public static NcclTransport? TryCreate(ICollectives ranks, Device device)
    {
        var isThere = NativeLibrary.TryLoad(Library, out var library);
        if (ranks.Any(!isThere))
        {
            if (!isMissingSaid)
            {
                isMissingSaid = true; // a run has several groups of ranks
                Log.Warning("{Library:l} is missing, so what GPUs exchange goes through main memory, which is slow; install NCCL", Library);
            }

            return null;
        }

        return new NcclTransport(library, ranks, device);
    }

    public void AllReduce(Tensor piece) => Check(((delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)Export("ncclAllReduce"))(
        TensorMemory.Of(piece), TensorMemory.Of(piece), (nuint)piece.numel(), TypeOf(piece), Sum, communicator, DefaultStream));

    public void ReduceScatter(Tensor pieces, Tensor piece) => Check(((delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)Export("ncclReduceScatter"))(
        TensorMemory.Of(pieces), TensorMemory.Of(piece), (nuint)piece.numel(), TypeOf(piece), Sum, communicator, DefaultStream));

    public void AllGather(Tensor piece, Tensor pieces) => Check(((delegate* unmanaged<nint, nint, nuint, int, nint, nint, int>)Export("ncclAllGather"))(
        TensorMemory.Of(piece), TensorMemory.Of(pieces), (nuint)(piece.numel() * piece.ElementSize), Bytes, communicator, DefaultStream));

    public void Broadcast(Tensor piece, int root) => Check(((delegate* unmanaged<nint, nint, nuint, int, int, nint, nint, int>)Export("ncclBroadcast"))(
        TensorMemory.Of(piece), TensorMemory.Of(piece), (nuint)(piece.numel() * piece.ElementSize), Bytes, root, communicator, DefaultStream));

    public void Dispose()
    {
        cuda.synchronize();
        Check(((delegate* unmanaged<nint, int>)Export("ncclCommDestroy"))(communicator));
    }

    private static int TypeOf(Tensor piece) => piece.dtype == ScalarType.Float64 ? Double : Float;

    private byte[] UniqueId()
    {
        var id = new byte[sizeof(NcclUniqueId)];
        fixed (byte* pointer = id)
        {
            Check(((delegate* unmanaged<byte*, int>)Export("ncclGetUniqueId"))(pointer));
        }

        return id;
    }

    private void Check(int result)
    {
        if (result != 0)
        {
            var text = Marshal.PtrToStringUTF8(((delegate* unmanaged<int, nint>)Export("ncclGetErrorString"))(result));
            throw new UserException($"NCCL: {text} (error {result}); with NCCL_DEBUG=WARN in the environment it says more");
        }
    }

    private nint Export(string name) => NativeLibrary.GetExport(library, name);

    /// <summary>ncclUniqueId, which is passed by value.</summary>
    private struct NcclUniqueId
    {
        public fixed byte Internal[128];
    }
}
