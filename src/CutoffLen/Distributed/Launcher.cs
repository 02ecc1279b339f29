namespace CutoffLen.Distributed;

/// <summary>The ranks that a launcher (mpirun, mpiexec, srun) started, as its environment tells each process.</summary>
/// <param name="Variable">The variable that says so.</param>
/// <param name="Rank">This process's number, from 0.</param>
/// <param name="Size">How many there are; null where the launcher does not tell.</param>
/// <param name="Libraries">MPI libraries that may belong to the launcher, the likeliest first.</param>
internal sealed record Launcher(string Variable, int Rank, int? Size, IReadOnlyList<string> Libraries)
{
    /// <summary>Names another MPI library, for machines where it has a name or a place of its own.</summary>
    public const string LibraryVariable = "CUTOFF_LIBMPI";

    private static readonly string[] OpenMpi = ["libmpi.so.40"];
    private static readonly string[] Mpich = ["libmpi.so.12", "libmpich.so.12"]; // also Intel MPI and MVAPICH

    // mpirun of Open MPI, which also sets PMIX_RANK; mpiexec of MPICH and srun --mpi=pmi2; srun --mpi=pmix. A batch script of
    // SLURM has SLURM_* variables but is no rank, so those alone say nothing.
    private static readonly (string Rank, string Size, string[] Libraries)[] Known =
    [
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", [.. OpenMpi, .. Mpich]),
        ("PMI_RANK", "PMI_SIZE", [.. Mpich, .. OpenMpi]),
        ("PMIX_RANK", "SLURM_STEP_NUM_TASKS", [.. OpenMpi, .. Mpich]),
    ];

    /// <summary>What started this process; null where it is the only rank, or none.</summary>
    public static Launcher? Detect() => Detect(Environment.GetEnvironmentVariable);

    /// <summary>The same of an environment.</summary>
    internal static Launcher? Detect(Func<string, string?> variable)
    {
        foreach (var (rank, size, libraries) in Known)
        {
            if (int.TryParse(variable(rank), out var number))
            {
                int? count = int.TryParse(variable(size), out var told) ? told : null;
                var named = variable(LibraryVariable);
                return count == 1 ? null : new Launcher(rank, number, count, string.IsNullOrEmpty(named) ? libraries : [named]);
            }
        }

        return null;
    }
}
