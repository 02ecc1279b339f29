using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;

namespace CutoffLen.Tests.Build;

/// <summary>src/glibcxx.targets on ELF files made here and on TorchSharp's own, all in one run of MSBuild.</summary>
public sealed class GlibcxxTests(GlibcxxTests.Results results) : IClassFixture<GlibcxxTests.Results>
{
    private const string Version = "GLIBCXX_3.4.32";

    // Places in the file that Elf makes: the Vernaux of the version is its fourth record of 16 bytes, flags at 4.
    private const int FlagsOfVersion = 64 + (3 * 16) + 4;

    [Fact]
    public void The_need_of_the_version_is_made_weak_and_nothing_else_changes()
    {
        var expected = Elf();
        expected[FlagsOfVersion] |= 2;
        Assert.Equal(expected, results["lacking"]);
        Assert.Contains("lacking.so: its need of GLIBCXX_3.4.32 is made weak", results.Log);
    }

    [Fact]
    public void A_library_that_defines_the_version_leaves_the_file_as_it_is()
    {
        Assert.Equal(Elf(), results["defining"]);
        Assert.DoesNotContain("defining.so: its need", results.Log);
    }

    [Fact]
    public void A_longer_version_of_the_same_beginning_does_not_define_it() => Assert.Equal(results["lacking"], results["longer"]);

    [Fact]
    public void Done_twice_it_is_done_once() => Assert.Equal(results["lacking"], results["again"]);

    [Fact]
    public void A_file_without_the_version_is_copied() => Assert.Equal(Elf("GLIBCXX_3.4.31"), results["other"]);

    [Fact]
    public void Neither_the_source_nor_a_link_to_it_is_written()
    {
        Assert.Equal(Elf(), results.Source("lacking"));
        Assert.Equal(results["lacking"], results["linked"]);
        Assert.Equal(Elf(), results.Source("linked"));
    }

    [Theory]
    [InlineData("text", "not a 64-bit little-endian ELF file")]
    [InlineData("empty", "a damaged ELF file")]
    [InlineData("cut", "a damaged ELF file")]
    public void What_is_no_ELF_file_is_an_error_that_names_it(string name, string problem)
    {
        Assert.Contains($"{name}.so: {problem}", results.Log);
        Assert.False(results.Has(name));
    }

    [Fact]
    public void TorchSharps_library_changes_in_one_byte_and_the_one_beside_the_tests_is_as_this_machine_needs_it()
    {
        var (beside, weak) = (results.Source("torch"), results["torch"]);
        Assert.InRange(beside.Zip(weak).Count(pair => pair.First != pair.Second), 0, 1);
        Assert.Equal(beside.Length, weak.Length);
        Assert.Equal(CutoffLen.Hardware.TorchLibrary.Load().WeakNeed is not null, beside.SequenceEqual(weak));
    }

    /// <summary>An ELF file of a header, version needs of two libraries, their names, and three section headers.</summary>
    private static byte[] Elf(string version = Version)
    {
        var names = new StringBuilder("\0");
        uint Name(string name)
        {
            names.Append(name).Append('\0');
            return (uint)(names.Length - name.Length - 1);
        }

        // Verneed: version, count, file, aux, next. Vernaux: hash, flags, other, name, next.
        byte[] needs =
        [
            .. Record(1, 1, Name("libc.so.6"), 16, 32), .. Record(0x1234, 0, 0, Name("GLIBC_2.34"), 0),
            .. Record(1, 2, Name("libstdc++.so.6"), 16, 0), .. Aux(0x5678, Name(version), 16), .. Aux(0x9abc, Name("CXXABI_1.3"), 0),
        ];
        var strings = Encoding.ASCII.GetBytes(names.ToString());
        var file = new byte[64 + needs.Length + strings.Length + (3 * 64)];
        var sections = 64 + needs.Length + strings.Length;
        byte[] identification = [0x7f, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1];
        identification.CopyTo(file, 0);
        BinaryPrimitives.WriteInt64LittleEndian(file.AsSpan(40), sections);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(58), 64);
        BinaryPrimitives.WriteUInt16LittleEndian(file.AsSpan(60), 3);
        needs.CopyTo(file, 64);
        strings.CopyTo(file, 64 + needs.Length);
        Section(file.AsSpan(sections + 64), type: 3, offset: 64 + needs.Length, link: 0);
        Section(file.AsSpan(sections + 128), type: 0x6ffffffe, offset: 64, link: 1);
        return file;
    }

    private static byte[] Record(ushort version, ushort count, uint file, uint aux, uint next)
    {
        var bytes = new byte[16];
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, version);
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(2), count);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(4), file);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), aux);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(12), next);
        return bytes;
    }

    private static byte[] Aux(uint hash, uint name, uint next) => Record((ushort)hash, 0, 0, name, next);

    private static void Section(Span<byte> header, uint type, long offset, int link)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(header[4..], type);
        BinaryPrimitives.WriteInt64LittleEndian(header[24..], offset);
        BinaryPrimitives.WriteInt32LittleEndian(header[40..], link);
    }

    /// <summary>Runs the task on every case once; a case is a source, a destination and a libstdc++.</summary>
    public sealed class Results : IDisposable
    {
        private readonly TemporaryFolder folder = new();
        private readonly List<(string Name, string Library)> cases = [];

        public Results()
        {
            folder.Write("lacks.so", "libstdc++ \0GLIBCXX_3.4.30\0");
            folder.Write("defines.so", $"libstdc++ \0{Version}\0");
            folder.Write("defines-longer.so", $"libstdc++ \0{Version}1\0");
            Add("lacking", Elf());
            Add("defining", Elf(), "defines");
            Add("longer", Elf(), "defines-longer");
            var weak = Elf();
            weak[FlagsOfVersion] |= 2;
            Add("again", weak);
            Add("other", Elf("GLIBCXX_3.4.31"));
            Add("linked", Elf());
            Directory.CreateDirectory(folder["out"]);
            Link(folder["linked.so"], folder["out/linked.so"]);
            Add("text", "This is no library, but a text that is long enough to hold a header of one."u8.ToArray());
            Add("empty", []);
            Add("cut", Elf()[..^100]);
            Add("torch", File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "libLibTorchSharp.so")));
            Log = Run();
        }

        public string Log { get; }

        public byte[] this[string name] => File.ReadAllBytes(folder[$"out/{name}.so"]);

        public bool Has(string name) => File.Exists(folder[$"out/{name}.so"]);

        public byte[] Source(string name) => File.ReadAllBytes(folder[$"{name}.so"]);

        public void Dispose() => folder.Dispose();

        private void Add(string name, byte[] file, string library = "lacks")
        {
            folder.Write($"{name}.so", file);
            cases.Add((name, library));
        }

        private string Run()
        {
            var tasks = cases.Select(c => $"""<WeakenVersionNeed Source="{c.Name}.so" Destination="out/{c.Name}.so" Version="{Version}" Library="{c.Library}.so" ContinueOnError="ErrorAndContinue" />""");
            var project = folder.Write("cases.proj", $"""
                <Project>
                  <Import Project="{Repository.Root}/src/glibcxx.targets" />
                  <Target Name="Run">{string.Join('\n', tasks)}</Target>
                </Project>
                """);
            var start = new ProcessStartInfo("dotnet", ["msbuild", project, "-t:Run", "-nologo", "-nodeReuse:false"]) { RedirectStandardOutput = true, WorkingDirectory = folder.Root };
            using var process = Process.Start(start)!;
            var log = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return log;
        }

        private static void Link(string target, string link)
        {
            using var process = Process.Start("ln", [target, link]);
            process.WaitForExit();
        }
    }
}
