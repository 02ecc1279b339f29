using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace TorchSharp.Binding;

/// <summary>What has to happen before libtorch is loaded, and its loading.</summary>
internal static partial class Startup
{
    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int setenv(string name, string value, int overwrite);

    /// <summary>Called once, before the first native call.</summary>
    internal static void Prepare()
    {
        ChooseKernels();
        NativeLibrary.SetDllImportResolver(typeof(Startup).Assembly, Resolve);
    }

    /// <summary>
    /// OpenBLAS takes a slow kernel on processors newer than itself; with AVX-512 the Skylake one is right. libtorch 1.13
    /// has AVX-512 kernels for its own operators but leaves them off unless asked (exp and silu are twice as fast with
    /// them). Both read the C environment when they are loaded, which .NET's SetEnvironmentVariable does not reach; what
    /// the user has set stays.
    /// </summary>
    private static void ChooseKernels()
    {
        bool hasAvx512 = Avx512F.IsSupported && Avx512BW.IsSupported && Avx512DQ.IsSupported && Avx512CD.IsSupported && Avx512F.VL.IsSupported;
        if (hasAvx512 && OperatingSystem.IsLinux())
        {
            _ = setenv("OPENBLAS_CORETYPE", "SKYLAKEX", overwrite: 0);
            _ = setenv("ATEN_CPU_CAPABILITY", "avx512", overwrite: 0);
        }
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? search)
    {
        if (name != "TorchBinding")
        {
            return 0; // the runtime's own rules
        }

        string path = Path.Combine(AppContext.BaseDirectory, "libTorchBinding.so");
        if (!File.Exists(path))
        {
            path = Path.Combine(Path.GetDirectoryName(assembly.Location) ?? ".", "libTorchBinding.so");
        }

        return NativeLibrary.Load(path); // its exception says which library is missing
    }
}
