using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace CutoffLen.Hardware;

/// <summary>This machine's processor.</summary>
/// <param name="Model">Its name, as the system gives it.</param>
/// <param name="Processors">Logical processors that this process may use.</param>
/// <param name="Cores">Cores among them: processors that share no arithmetic units with another one (SMT).</param>
/// <param name="Features">Which of the instruction sets that matter to torch it has, by their names in /proc/cpuinfo.</param>
public sealed record Cpu(string Model, int Processors, int Cores, IReadOnlyList<string> Features)
{
    private static readonly string[] Relevant =
        ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16", "asimd", "sve", "sve2", "bf16"];

    /// <summary>
    /// Whether bfloat16 products are faster than float32 ones: the processor multiplies bfloat16 itself (Intel since
    /// Cooper Lake, AMD since Zen 4), which oneDNN inside libtorch uses.
    /// </summary>
    public bool MultipliesBf16 => Features.Contains("amx_bf16") || Features.Contains("avx512_bf16");

    /// <summary>Asks the system: /proc/cpuinfo on Linux, elsewhere what the .NET runtime knows.</summary>
    public static Cpu Detect() => File.Exists("/proc/cpuinfo")
        ? Parse(File.ReadAllText("/proc/cpuinfo"), Environment.ProcessorCount)
        : new Cpu(RuntimeInformation.ProcessArchitecture.ToString(), Environment.ProcessorCount, Environment.ProcessorCount, KnownToRuntime());

    /// <summary>Reads the text of /proc/cpuinfo, x86 (<c>model name</c>, <c>flags</c>) or Arm (<c>Features</c>).</summary>
    /// <param name="cpuinfo">A paragraph for each logical processor of the machine.</param>
    /// <param name="processors">How many of them this process may use.</param>
    public static Cpu Parse(string cpuinfo, int processors)
    {
        string? model = null, socket = null;
        HashSet<string>? flags = null;
        var cores = new HashSet<(string?, string)>();
        foreach (var line in cpuinfo.Split('\n'))
        {
            var colon = line.IndexOf(':', StringComparison.Ordinal);
            var (key, value) = colon < 0 ? (line.Trim(), "") : (line[..colon].Trim(), line[(colon + 1)..].Trim());
            switch (key)
            {
                case "model name":
                    model ??= value;
                    break;
                case "flags" or "Features":
                    flags ??= [.. value.Split(' ')];
                    break;
                case "physical id":
                    socket = value;
                    break;
                case "core id":
                    cores.Add((socket, value));
                    break;
            }
        }

        // Arm kernels print neither a name nor cores; Arm servers have no SMT.
        return new Cpu(
            model ?? RuntimeInformation.ProcessArchitecture.ToString(),
            processors,
            cores.Count == 0 ? processors : Math.Min(cores.Count, processors),
            [.. Relevant.Where(name => flags is not null && flags.Contains(name))]);
    }

    private static List<string> KnownToRuntime()
    {
        (string Name, bool Has)[] known =
            [("avx2", Avx2.IsSupported), ("fma", Fma.IsSupported), ("avx512f", Avx512F.IsSupported), ("asimd", AdvSimd.IsSupported)];
        return [.. known.Where(feature => feature.Has).Select(feature => feature.Name)];
    }
}
