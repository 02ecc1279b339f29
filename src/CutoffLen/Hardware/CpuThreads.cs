using TorchSharp;

namespace CutoffLen.Hardware;

/// <summary>The number of CPU threads of torch's operations.</summary>
public static class CpuThreads
{
    /// <summary>
    /// Sets the number of threads: <paramref name="asked"/>; when that is 0, OMP_NUM_THREADS or MKL_NUM_THREADS; else one per
    /// core, of which ranks on one host take equal shares. libtorch's own default on x86 is half the processors, which leaves
    /// half of a machine without SMT idle.
    /// </summary>
    public static void Use(int asked)
    {
        if (asked == 0 && (IsSet("OMP_NUM_THREADS") || IsSet("MKL_NUM_THREADS")))
        {
            return;
        }

        var local = LocalWorld.Current;
        torch.set_num_threads(asked > 0 ? asked : Math.Max(1, Cpu.Detect().Cores / (local.SharesCores ? local.Size : 1)));
    }

    private static bool IsSet(string variable) => !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(variable));
}
