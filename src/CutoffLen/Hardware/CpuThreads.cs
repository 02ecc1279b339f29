using TorchSharp;

namespace CutoffLen.Hardware;

/// <summary>How many CPU threads torch's operations use.</summary>
public static class CpuThreads
{
    /// <summary>
    /// Sets the number of threads: <paramref name="asked"/>, or when that is 0 what OMP_NUM_THREADS or MKL_NUM_THREADS says,
    /// else one a core. libtorch itself takes half the processors on x86, which idles half of a machine without SMT.
    /// </summary>
    public static void Use(int asked)
    {
        if (asked == 0 && (IsSet("OMP_NUM_THREADS") || IsSet("MKL_NUM_THREADS")))
        {
            return;
        }

        torch.set_num_threads(asked > 0 ? asked : Cpu.Detect().Cores);
    }

    private static bool IsSet(string variable) => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(variable));
}
