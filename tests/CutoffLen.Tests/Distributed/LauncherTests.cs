using CutoffLen.Distributed;

namespace CutoffLen.Tests.Distributed;

public sealed class LauncherTests
{
    [Theory]
    [InlineData("OMPI_COMM_WORLD_RANK=3 OMPI_COMM_WORLD_SIZE=4 PMIX_RANK=3", 3, 4, "libmpi.so.40")] // mpirun of Open MPI
    [InlineData("PMI_RANK=1 PMI_SIZE=2 MPI_LOCALRANKID=1", 1, 2, "libmpi.so.12")] // mpiexec of MPICH, Intel MPI
    [InlineData("PMI_RANK=5 PMI_SIZE=16 SLURM_PROCID=5 SLURM_NTASKS=16", 5, 16, "libmpi.so.12")] // srun --mpi=pmi2
    [InlineData("PMIX_RANK=0 SLURM_STEP_NUM_TASKS=8 SLURM_PROCID=0", 0, 8, "libmpi.so.40")] // srun --mpi=pmix
    [InlineData("PMIX_RANK=2", 2, null, "libmpi.so.40")]
    [InlineData("PMI_RANK=1 PMI_SIZE=2 CUTOFF_LIBMPI=/opt/cray/libmpi_gnu.so", 1, 2, "/opt/cray/libmpi_gnu.so")]
    public void A_launchers_environment_tells_rank_size_and_library(string environment, int rank, int? size, string library)
    {
        var launcher = Detect(environment)!;
        Assert.Equal((rank, size, library), (launcher.Rank, launcher.Size, launcher.Libraries[0]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=1")]
    [InlineData("SLURM_PROCID=0 SLURM_NTASKS=8 SLURM_JOB_ID=17")] // a batch script, which is no rank
    public void Without_other_ranks_no_MPI_library_is_looked_for(string environment) => Assert.Null(Detect(environment));

    private static Launcher? Detect(string environment)
    {
        var variables = environment.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(variable => variable.Split('=')).ToDictionary(parts => parts[0], parts => parts[1]);
        return Launcher.Detect(variables.GetValueOrDefault);
    }
}
