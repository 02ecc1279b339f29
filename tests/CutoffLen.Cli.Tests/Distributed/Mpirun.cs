using System.Globalization;

namespace CutoffLen.Cli.Tests.Distributed;

/// <summary>The built program as several ranks of this machine, started by Open MPI's mpirun.</summary>
internal static class Mpirun
{
    /// <summary>Why tests of several ranks are skipped here; null where they run.</summary>
    public static string? Missing { get; } = Find() is null ? "mpirun is not installed (apt install openmpi-bin)" : null;

    // One core may be all that a rank gets, and other tests want it while the rank waits. Containers forbid one process to read another's memory.
    private static readonly Dictionary<string, string?> Environment = new()
    {
        ["OMPI_ALLOW_RUN_AS_ROOT"] = "1",
        ["OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"] = "1",
        ["OMPI_MCA_btl_vader_single_copy_mechanism"] = "none",
        ["OMPI_MCA_mpi_yield_when_idle"] = "1",
        ["OMP_NUM_THREADS"] = "1",
    };

    /// <summary>Runs to the end.</summary>
    public static CutoffResult Run(int ranks, params string[] arguments) => Start([.. Options, "-np", $"{ranks}", CutoffProcess.Executable, .. arguments]);

    /// <summary>Runs two ranks with arguments of their own.</summary>
    public static CutoffResult RunDifferently(string[] first, string[] second) =>
        Start([.. Options, "-np", "1", CutoffProcess.Executable, .. first, ":", "-np", "1", CutoffProcess.Executable, .. second]);

    /// <summary>Runs another program beside the tests.</summary>
    public static CutoffResult RunProgram(int ranks, string program) => Start([.. Options, "-np", $"{ranks}", Path.Combine(AppContext.BaseDirectory, program)]);

    /// <summary>Runs until <paramref name="isReady"/>, sends the signal to a rank, or to mpirun, and waits for the end.</summary>
    public static CutoffResult RunUntil(string signal, int? toRank, Func<bool> isReady, int ranks, params string[] arguments) => CutoffProcess.RunUntil(
        signal, isReady, [.. Options, "-np", $"{ranks}", CutoffProcess.Executable, .. arguments], null, Environment, Find(),
        toRank is { } rank ? mpirun => ProcessOf(rank, mpirun) : null);

    private static string[] Options => ["--oversubscribe", "--bind-to", "none"];

    private static CutoffResult Start(string[] arguments) => CutoffProcess.Run(arguments, null, Environment, executable: Find());

    private static string? Find() => System.Environment.GetEnvironmentVariable("PATH")!.Split(':').Select(folder => Path.Combine(folder, "mpirun")).FirstOrDefault(File.Exists);

    /// <summary>The child of mpirun that is a rank; mpirun itself while there is none yet.</summary>
    private static int ProcessOf(int rank, int mpirun)
    {
        foreach (var child in File.ReadAllText($"/proc/{mpirun}/task/{mpirun}/children").Split(' ', StringSplitOptions.RemoveEmptyEntries))
        {
            if (File.ReadAllText($"/proc/{child}/environ").Split('\0').Contains($"OMPI_COMM_WORLD_RANK={rank}"))
            {
                return int.Parse(child, CultureInfo.InvariantCulture);
            }
        }

        return mpirun;
    }
}

/// <summary>A test of several ranks; skipped, by name, where there is no mpirun.</summary>
internal sealed class MpiFactAttribute : FactAttribute
{
    public MpiFactAttribute() => Skip = Mpirun.Missing;
}

/// <summary>The same with data.</summary>
internal sealed class MpiTheoryAttribute : TheoryAttribute
{
    public MpiTheoryAttribute() => Skip = Mpirun.Missing;
}
