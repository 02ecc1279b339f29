using System.Runtime.InteropServices;
using CutoffLen.Hardware;

namespace CutoffLen.Tests.Hardware;

public sealed class BlasTests
{
    private static readonly string[] Maps =
    [
        "7f0000000000-7f0000001000 r--p 00000000 08:01 1    /usr/lib/x86_64-linux-gnu/libc.so.6",
        "7f0000001000-7f0000003000 r-xp 00000000 08:01 2    /usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3",
        "7f0000003000-7f0000004000 rw-p 00000000 00:00 0 ",
        "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]",
    ];

    [Theory]
    [InlineData(0x7f0000000000, "/usr/lib/x86_64-linux-gnu/libc.so.6")]
    [InlineData(0x7f0000001000, "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3")]
    [InlineData(0x7f0000002fff, "/usr/lib/x86_64-linux-gnu/openblas-pthread/libblas.so.3")]
    [InlineData(0x7f0000003000, null)]
    [InlineData(0x7f0000004000, null)]
    public void An_address_belongs_to_the_file_mapped_there(long address, string? file) =>
        Assert.Equal(file, Blas.FileAt(Maps, (nint)address));

    [Fact]
    public void A_function_of_this_process_is_found_in_its_library()
    {
        var library = NativeLibrary.Load("libc.so.6");
        var function = NativeLibrary.GetExport(library, "setenv");
        Assert.StartsWith("libc", Path.GetFileName(Blas.FileAt(File.ReadLines("/proc/self/maps"), function)), StringComparison.Ordinal);
    }
}
