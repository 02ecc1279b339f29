using System.Globalization;
using System.Runtime.InteropServices;

namespace CutoffLen.Hardware;

/// <summary>The BLAS library in which libtorch's float32 products on the CPU run.</summary>
/// <param name="Name"><c>OpenBLAS</c>, <c>reference</c>, <c>libtorch</c> for one that is part of it (mostly MKL), else the file's name.</param>
/// <param name="Library">The file.</param>
/// <param name="Kernel">The processor for which it chose its code, where it tells: OpenBLAS's <c>Haswell</c>, <c>SkylakeX</c>.</param>
public sealed record Blas(string Name, string Library, string? Kernel)
{
    /// <summary>Whether this is the reference implementation, some 80 times slower than OpenBLAS.</summary>
    public bool IsReference => Name == "reference";

    /// <summary>
    /// Where the libtorch of this process finds <c>sgemm_</c>: more than one BLAS may be loaded, and the order of its
    /// dependencies decides. Null when libtorch is not loaded, and outside Linux.
    /// </summary>
    public static Blas? OfLibtorch()
    {
        const string mapsFile = "/proc/self/maps";
        if (!File.Exists(mapsFile))
        {
            return null;
        }

        var maps = File.ReadAllLines(mapsFile);
        var libtorch = maps.Select(FileOf).FirstOrDefault(file => Path.GetFileName(file).StartsWith("libtorch_cpu.", StringComparison.Ordinal));
        if (libtorch is null)
        {
            return null;
        }

        // Everything is loaded already; loading again only gives the handle, which searches its dependencies in order.
        var file = NativeLibrary.TryGetExport(NativeLibrary.Load(libtorch), "sgemm_", out var sgemm) ? FileAt(maps, sgemm) : libtorch;
        return file is null ? null : Describe(file, libtorch);
    }

    /// <summary>
    /// Threads of one product. OpenBLAS mostly has threads of its own, which <c>torch.set_num_threads</c> does not reach;
    /// any other BLAS follows torch and is left alone.
    /// </summary>
    public unsafe void SetThreads(int count)
    {
        if (Kernel is not null && OpenBlasFunction(NativeLibrary.Load(Library), "openblas_set_num_threads") is { } function)
        {
            ((delegate* unmanaged<int, void>)function)(count);
        }
    }

    /// <summary>The file whose code lies at an address, after the lines of a /proc/PID/maps; null when it is no file's.</summary>
    public static string? FileAt(IEnumerable<string> maps, nint address)
    {
        foreach (var line in maps)
        {
            var range = line[..line.IndexOf(' ', StringComparison.Ordinal)].Split('-');
            if (Address(range[0]) <= (ulong)address && (ulong)address < Address(range[1]))
            {
                return FileOf(line) is { Length: > 0 } file ? file : null;
            }
        }

        return null;
    }

    private static Blas Describe(string file, string libtorch)
    {
        var kernel = OpenBlasKernel(NativeLibrary.Load(file));
        var name = (Path.GetFileName(file), kernel) switch
        {
            (_, not null) => "OpenBLAS",
            _ when file == libtorch => "libtorch",
            (var own, _) when own.StartsWith("libblas.", StringComparison.Ordinal) => "reference",
            (var own, _) => own,
        };
        return new Blas(name, file, kernel);
    }

    private static unsafe string? OpenBlasKernel(nint library) =>
        OpenBlasFunction(library, "openblas_get_corename") is { } function
            ? Marshal.PtrToStringUTF8(((delegate* unmanaged<nint>)function)())
            : null;

    // Builds with 64-bit integers add a suffix to every name.
    private static nint? OpenBlasFunction(nint library, string name) =>
        NativeLibrary.TryGetExport(library, name, out var function) || NativeLibrary.TryGetExport(library, name + "64_", out function)
            ? function
            : null;

    private static string FileOf(string line) =>
        line.IndexOf('/', StringComparison.Ordinal) is var start and >= 0 ? line[start..] : "";

    private static ulong Address(string hexadecimal) => ulong.Parse(hexadecimal, NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
