using System.Runtime.InteropServices;

namespace CutoffLen.Hardware;

/// <summary>This machine's processor.</summary>
/// <param name="Model">Its name, as the system gives it.</param>
/// <param name="Processors">Logical processors that this process may use.</param>
/// <param name="Cores">Cores among them; processors of one core (SMT) share its arithmetic units.</param>
/// <param name="Features">Its instruction sets that matter to torch, by their names in /proc/cpuinfo.</param>
public sealed record Cpu(string Model, int Processors, int Cores, IReadOnlyList<string> Features)
{
    private static readonly string[] Relevant =
        ["avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_int8", "amx_bf16", "asimd", "sve", "sve2", "bf16"];

    /// <summary>
    /// Whether bfloat16 products are faster than float32 ones. That is so where the processor multiplies bfloat16 (Intel since
    /// Cooper Lake, AMD since Zen 4), which oneDNN inside libtorch uses.
    /// </summary>
    public bool MultipliesBf16 => Features.Contains("amx_bf16") || Features.Contains("avx512_bf16");

    /// <summary>Reads /proc/cpuinfo.</summary>
    public static Cpu Detect() => Parse(File.ReadAllText("/proc/cpuinfo"), Environment.ProcessorCount);

    /// <summary>Parses the text of /proc/cpuinfo, of x86 (<c>model name</c>, <c>flags</c>) or Arm (<c>Features</c>).</summary>
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
}
