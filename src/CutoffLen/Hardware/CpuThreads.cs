using System.Globalization;
using CutoffLen.Common;
using TorchSharp;

namespace CutoffLen.Hardware;

/// <summary>The number of CPU threads of torch's operations.</summary>
public static class CpuThreads
{
    /// <summary>The most threads that may be asked for.</summary>
    public const int Most = 4096;

    /// <summary>
    /// Sets the number of threads: <paramref name="asked"/>; when that is 0, MKL_NUM_THREADS or OMP_NUM_THREADS; else one per
    /// core, of which ranks on one host take equal shares. libtorch's own default on x86 is half the processors, which leaves
    /// half of a machine without SMT idle, and it takes that default too where it cannot read a variable.
    /// </summary>
    /// <exception cref="UserException">It is negative or too large, or a variable that decides is no number of threads.</exception>
    public static void Use(int asked)
    {
        var local = LocalWorld.Current;
        torch.set_num_threads(asked switch
        {
            0 => Variable("MKL_NUM_THREADS") ?? Variable("OMP_NUM_THREADS") ?? Math.Max(1, Cpu.Detect().Cores / (local.SharesCores ? local.Size : 1)),
            > 0 and <= Most => asked,
            _ => throw new UserException($"threads: {asked} is not a whole number from 0 to {Most}"),
        });
    }

    /// <summary>A variable's number of threads, of OpenMP's list of nested levels the first; null where it is not set.</summary>
    private static int? Variable(string name) => Environment.GetEnvironmentVariable(name) switch
    {
        null or "" => null,
        var text when int.TryParse(text.Split(',')[0].Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out var threads) && threads is > 0 and <= Most => threads,
        var text => throw new UserException($"{name}={text}: not a number of threads from 1 to {Most}"),
    };
}
