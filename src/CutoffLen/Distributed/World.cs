using CutoffLen.Common;
using CutoffLen.Hardware;

namespace CutoffLen.Distributed;

/// <summary>
/// The ranks of a job: this process alone, or all those that a launcher (mpirun, srun) started. One rank has one device, or
/// a share of its host's cores.
/// </summary>
public sealed class World : IDisposable
{
    // Ranks that meet the same error do so within moments; slow file systems make them longer.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly MpiLibrary? mpi;
    private readonly nint failures; // a communicator of its own: other ranks may be in a collective when one fails

    private World() => (Ranks, Hosts) = (SingleRank.Instance, [Environment.MachineName]);

    private World(MpiLibrary mpi)
    {
        this.mpi = mpi;
        Ranks = new RankGroup(new MpiTransport(mpi, mpi.World));
        failures = mpi.Split(mpi.World, 0, Ranks.Rank);
        var cores = File.ReadLines("/proc/self/status").First(line => line.StartsWith("Cpus_allowed_list", StringComparison.Ordinal));
        var places = Ranks.Gather($"{Environment.MachineName} {cores}");
        Hosts = [.. places.Select(place => place.Split(' ')[0])];
        var local = Enumerable.Range(0, Ranks.Size).Where(rank => Hosts[rank] == Environment.MachineName).ToList();
        LocalWorld.Current = new LocalWorld(
            local.IndexOf(Ranks.Rank), local.Count, SharesCores: local.Count > 1 && local.All(rank => places[rank] == places[Ranks.Rank]));
    }

    /// <summary>A process that no launcher started.</summary>
    public static World Alone { get; } = new();

    /// <summary>Whether a launcher started this process as one of several ranks.</summary>
    public static bool IsLaunched => Launcher.Detect() is not null;

    /// <summary>Whether this is rank 0, the one that speaks and writes, as its launcher says.</summary>
    public static bool IsFirst => Launcher.Detect() is not { Rank: > 0 };

    /// <summary>All ranks.</summary>
    public ICollectives Ranks { get; }

    /// <summary>The host of each rank, by rank.</summary>
    public IReadOnlyList<string> Hosts { get; }

    /// <summary>The MPI library, for example <c>Open MPI v4.1.4</c>; null where there is one rank.</summary>
    public string? MpiVersion => mpi?.Version;

    /// <summary>Version of NCCL, for example 2.27.3; null where it is missing.</summary>
    public static string? NcclVersion => NcclTransport.Version;

    /// <summary>Joins the ranks that a launcher started, before a device is chosen. Without a launcher no MPI library is needed.</summary>
    /// <exception cref="UserException">There is a launcher, and no MPI library that belongs to it.</exception>
    public static World Join()
    {
        if (Launcher.Detect() is not { } launcher)
        {
            return Alone;
        }

        TorchLibrary.Require();
        return new World(MpiLibrary.Start(launcher));
    }

    /// <summary>
    /// Ends the job where this rank can't go on: returns when all ranks failed, as they do where the user's input is wrong, and
    /// ends all ranks at once where only this one did.
    /// </summary>
    /// <param name="exitCode">The exit code of the job.</param>
    /// <param name="say">Says why this rank alone could not go on.</param>
    public void Fail(int exitCode, Action say)
    {
        if (mpi?.Meet(failures, Patience) == false)
        {
            say();
            mpi.Abort(exitCode);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (mpi is not null)
        {
            Ranks.Dispose();
            mpi.Free(failures);
            mpi.End();
        }
    }

    /// <summary>All ranks, with pieces of so many elements.</summary>
    internal ICollectives InPieces(long elements) => new RankGroup(new MpiTransport(mpi!, mpi!.World), elements);
}
