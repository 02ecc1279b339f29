using System.Runtime.InteropServices;
using System.Text;
using CutoffLen.Common;

namespace CutoffLen.Distributed;

/// <summary>
/// The functions of an MPI library (MPI 3.1), bound at run time: without a launcher no library is needed. A handle is the
/// address of an exported variable in Open MPI and a 32-bit number in MPICH and its kin; both fit a register. By MPI's
/// default an error in a call ends all ranks, so codes are not looked at.
/// </summary>
internal sealed unsafe partial class MpiLibrary
{
    private const int ThreadSerialized = 2; // MPI_THREAD_SERIALIZED: any thread, one at a time
    private const int LongestVersion = 8192; // MPI_MAX_LIBRARY_VERSION_STRING of MPICH, the longer one
    private const int StatusBytes = 64; // more than an MPI_Status of either

    private readonly nint library;
    private readonly nint inPlace;
    private readonly nint sum;
    private readonly delegate* unmanaged<nint, nint, int, nint, nint, nint, int> allReduce;
    private readonly delegate* unmanaged<nint, nint, int, nint, nint, nint, int> reduceScatterBlock;
    private readonly delegate* unmanaged<nint, int, nint, nint, int, nint, nint, int> allGather;
    private readonly delegate* unmanaged<nint, int, nint, int, nint, int> broadcast;

    private MpiLibrary(nint library, string name)
    {
        (this.library, Name) = (library, name);
        if (NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out var world))
        {
            (World, sum, inPlace) = (world, Export("ompi_mpi_op_sum"), 1);
            (Byte, Float, Double) = (Export("ompi_mpi_byte"), Export("ompi_mpi_float"), Export("ompi_mpi_double"));
        }
        else
        {
            (World, sum, inPlace) = (0x44000000, 0x58000003, -1);
            (Byte, Float, Double) = (0x4c00010d, 0x4c00040a, 0x4c00080b);
        }

        allReduce = (delegate* unmanaged<nint, nint, int, nint, nint, nint, int>)Export("MPI_Allreduce");
        reduceScatterBlock = (delegate* unmanaged<nint, nint, int, nint, nint, nint, int>)Export("MPI_Reduce_scatter_block");
        allGather = (delegate* unmanaged<nint, int, nint, nint, int, nint, nint, int>)Export("MPI_Allgather");
        broadcast = (delegate* unmanaged<nint, int, nint, int, nint, int>)Export("MPI_Bcast");
    }

    /// <summary>The file it was loaded as.</summary>
    public string Name { get; }

    /// <summary>MPI_COMM_WORLD.</summary>
    public nint World { get; }

    /// <summary>MPI_BYTE.</summary>
    public nint Byte { get; }

    /// <summary>MPI_FLOAT.</summary>
    public nint Float { get; }

    /// <summary>MPI_DOUBLE.</summary>
    public nint Double { get; }

    /// <summary>For example <c>Open MPI v4.1.4</c>.</summary>
    public string Version
    {
        get
        {
            int length;
            var text = stackalloc byte[LongestVersion];
            _ = ((delegate* unmanaged<byte*, int*, int>)Export("MPI_Get_library_version"))(text, &length);
            var line = Encoding.UTF8.GetString(text, length).Split('\n', ',')[0];
            return string.Join(' ', line.TrimEnd('\0').Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        }
    }

    /// <summary>Loads and starts the library that belongs to a launcher.</summary>
    /// <exception cref="UserException">There is none, or it knows other ranks than the launcher started.</exception>
    public static MpiLibrary Start(Launcher launcher)
    {
        // UCX, below some builds of MPI, would catch SIGSEGV, by which .NET finds null references.
        _ = SetVariable("UCX_ERROR_SIGNALS", "", overwrite: 0);
        var mpi = Load(launcher);
        int provided;
        _ = ((delegate* unmanaged<nint, nint, int, int*, int>)mpi.Export("MPI_Init_thread"))(0, 0, ThreadSerialized, &provided);
        var size = mpi.Number("MPI_Comm_size", mpi.World);
        return launcher.Size is null || launcher.Size == size
            ? mpi
            : throw new UserException(
                $"{launcher.Variable}: the launcher started {launcher.Size} ranks and {mpi.Name} ({mpi.Version}) sees {size}: it belongs to another launcher; name the right library by {Launcher.LibraryVariable}");
    }

    /// <summary>This process's number in a communicator.</summary>
    public int Rank(nint communicator) => Number("MPI_Comm_rank", communicator);

    /// <summary>The ranks of a communicator.</summary>
    public int Size(nint communicator) => Number("MPI_Comm_size", communicator);

    /// <summary>Sums in place.</summary>
    public void AllReduce(nint data, int count, nint type, nint communicator) => _ = allReduce(inPlace, data, count, type, sum, communicator);

    /// <summary>Each rank's <paramref name="count"/> elements of the sum.</summary>
    public void ReduceScatterBlock(nint data, nint result, int count, nint type, nint communicator) =>
        _ = reduceScatterBlock(data, result, count, type, sum, communicator);

    /// <summary>The bytes of all ranks, <paramref name="count"/> of each.</summary>
    public void AllGather(nint data, nint result, int count, nint communicator) => _ = allGather(data, count, Byte, result, count, Byte, communicator);

    /// <summary>The bytes of one rank.</summary>
    public void Broadcast(nint data, int count, int root, nint communicator) => _ = broadcast(data, count, Byte, root, communicator);

    /// <summary>Waits for all ranks.</summary>
    public void Barrier(nint communicator) => _ = ((delegate* unmanaged<nint, int>)Export("MPI_Barrier"))(communicator);

    /// <summary>A communicator of the ranks that name the same group.</summary>
    public nint Split(nint communicator, int group, int order)
    {
        nint result = 0;
        _ = ((delegate* unmanaged<nint, int, int, nint*, int>)Export("MPI_Comm_split"))(communicator, group, order, &result);
        return result;
    }

    /// <summary>Frees a communicator.</summary>
    public void Free(nint communicator) => _ = ((delegate* unmanaged<nint*, int>)Export("MPI_Comm_free"))(&communicator);

    /// <summary>Whether all ranks call this within a time.</summary>
    public bool Meet(nint communicator, TimeSpan patience)
    {
        nint request = 0;
        var status = stackalloc byte[StatusBytes];
        _ = ((delegate* unmanaged<nint, nint*, int>)Export("MPI_Ibarrier"))(communicator, &request);
        var test = (delegate* unmanaged<nint*, int*, byte*, int>)Export("MPI_Test");
        var end = DateTime.UtcNow + patience;
        for (var isDone = 0; isDone == 0; Thread.Sleep(10))
        {
            _ = test(&request, &isDone, status);
            if (isDone == 0 && DateTime.UtcNow > end)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Ends the library's use; every rank calls it.</summary>
    public void End() => _ = ((delegate* unmanaged<int>)Export("MPI_Finalize"))();

    /// <summary>Ends all ranks at once, this one too.</summary>
    public void Abort(int exitCode) => _ = ((delegate* unmanaged<nint, int, int>)Export("MPI_Abort"))(World, exitCode);

    private static MpiLibrary Load(Launcher launcher)
    {
        foreach (var name in launcher.Libraries)
        {
            if (NativeLibrary.TryLoad(name, out var library))
            {
                return new MpiLibrary(library, name);
            }
        }

        throw new UserException(
            $"{launcher.Variable}: this is rank {launcher.Rank} of a launcher, and no MPI library loads ({string.Join(", ", launcher.Libraries)}); "
            + $"install one (apt install openmpi-bin), or name yours by {Launcher.LibraryVariable}");
    }

    private int Number(string function, nint communicator)
    {
        int number;
        _ = ((delegate* unmanaged<nint, int*, int>)Export(function))(communicator, &number);
        return number;
    }

    private nint Export(string name) => NativeLibrary.GetExport(library, name);

    // .NET's own changes only what .NET reads.
    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);
}
