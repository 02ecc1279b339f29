using System.Xml.Linq;

namespace CutoffLen.Tests.Scripts;

/// <summary>scripts/setup with a feed, compilers and a libtorch that are only pretended.</summary>
public sealed class SetupTests : IDisposable
{
    private const string FeedSaysNo = "echo called >>$ROOT/restores; echo 'probe.csproj : error NU1101: Unable to find package TorchSharp. [/tmp/probe.csproj]'; exit 1";
    private const string FeedSaysYes = "echo called >>$ROOT/restores";

    private readonly ScriptSandbox sandbox = new();

    public SetupTests()
    {
        File.Delete(sandbox.PathOf("TorchSource.props"));
        sandbox.Write("libtorch/include/ATen/core/dispatch/Dispatcher.h", "");
        foreach (var tool in new[] { "c++", "cmake", "make" })
        {
            sandbox.AddTool(tool);
        }
    }

    private string Libtorch => $"LIBTORCH={sandbox.PathOf("libtorch")}";

    public void Dispose() => sandbox.Dispose();

    [Fact]
    public void A_feed_with_the_packages_means_package()
    {
        sandbox.AddTool("dotnet", FeedSaysYes);
        sandbox.Run("setup", []).Exits(0);
        Assert.Equal("package", Property("TorchSource"));
    }

    [Fact]
    public void A_feed_without_them_means_system_and_the_file_says_why()
    {
        sandbox.AddTool("dotnet", FeedSaysNo);
        sandbox.Run("setup", [], Libtorch).Exits(0);
        Assert.Equal("system", Property("TorchSource"));
        Assert.Equal(sandbox.PathOf("libtorch"), Property("LibTorch"));
        Assert.Contains("NU1101", sandbox.Read("TorchSource.props"), StringComparison.Ordinal);
    }

    [Fact]
    public void The_feed_is_asked_once_and_again_only_on_demand()
    {
        sandbox.AddTool("dotnet", FeedSaysNo);
        sandbox.Run("setup", [], Libtorch).Exits(0);
        var written = File.GetLastWriteTimeUtc(sandbox.PathOf("TorchSource.props"));
        sandbox.Run("setup", []).Exits(0);
        Assert.Equal("called\n", sandbox.Read("restores"));
        Assert.Equal(written, File.GetLastWriteTimeUtc(sandbox.PathOf("TorchSource.props")));

        sandbox.AddTool("dotnet", FeedSaysYes);
        sandbox.Run("setup", ["--again"]).Exits(0);
        Assert.Equal("package", Property("TorchSource"));
    }

    [Fact]
    public void An_explicit_system_does_not_ask_the_feed()
    {
        sandbox.AddTool("dotnet", FeedSaysYes);
        sandbox.Run("setup", [], "TORCH_SOURCE=system", Libtorch).Exits(0);
        Assert.Equal("system", Property("TorchSource"));
        Assert.Empty(sandbox.Read("restores"));
    }

    [Fact]
    public void An_explicit_package_fails_where_the_feed_says_no()
    {
        sandbox.AddTool("dotnet", FeedSaysNo);
        var result = sandbox.Run("setup", [], "TORCH_SOURCE=package", Libtorch).Exits(1);
        Assert.Contains("NU1101: Unable to find package TorchSharp", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
        Assert.False(File.Exists(sandbox.PathOf("TorchSource.props")));
    }

    [Fact]
    public void An_unknown_source_names_the_allowed()
    {
        sandbox.AddTool("dotnet");
        Assert.Equal("setup: TORCH_SOURCE=pip; allowed are package and system", Assert.Single(sandbox.Run("setup", [], "TORCH_SOURCE=pip").Exits(1).ErrorLines));
    }

    [Fact]
    public void A_wrong_LIBTORCH_is_named()
    {
        sandbox.AddTool("dotnet");
        var result = sandbox.Run("setup", [], "TORCH_SOURCE=system", "LIBTORCH=/nowhere").Exits(1);
        Assert.Contains("LIBTORCH=/nowhere", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("c++", "no C++ compiler")]
    [InlineData("cmake", "no cmake")]
    [InlineData("make", "no make")]
    [InlineData("dotnet", "no dotnet")]
    public void A_missing_tool_is_named_where_apt_is_not(string tool, string expected)
    {
        sandbox.AddTool("dotnet");
        File.Delete(sandbox.PathOf($"tools/{tool}"));
        var result = sandbox.Run("setup", [], "TORCH_SOURCE=system", Libtorch).Exits(1);
        Assert.Contains(expected, Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public void A_missing_tool_is_installed_where_apt_is()
    {
        sandbox.AddTool("dotnet");
        sandbox.AddTool("id", "echo 0");
        sandbox.AddTool("env", "while [[ $1 == *=* ]]; do shift; done; exec \"$@\"");
        sandbox.AddTool("apt-get", "echo \"$*\" >>$ROOT/apt; : >$ROOT/tools/cmake; chmod +x $ROOT/tools/cmake");
        sandbox.AddTool("chmod", "exec /bin/chmod \"$@\"");
        File.Delete(sandbox.PathOf("tools/cmake"));
        sandbox.Run("setup", [], "TORCH_SOURCE=system", Libtorch).Exits(0);
        Assert.Equal("install -y -q --no-install-recommends cmake\n", sandbox.Read("apt"));
    }

    [Fact]
    public void OpenBLAS_that_shares_libtorchs_threads_is_installed_and_asked_for_once()
    {
        const string warning = "setup: warning: libopenblas0-openmp is not installed";
        // Found by CMake's path rather than by LIBTORCH, whose BLAS is its own affair.
        string[] variables = ["TORCH_SOURCE=system", $"CMAKE_PREFIX_PATH={sandbox.PathOf("libtorch")}"];
        sandbox.AddTool("dotnet");
        sandbox.AddTool("id", "echo 0");
        sandbox.AddTool("env", "while [[ $1 == *=* ]]; do shift; done; exec \"$@\"");
        sandbox.AddTool("dpkg", "[ -e $ROOT/installed ]");
        sandbox.AddTool("apt-get", "echo \"$*\" >>$ROOT/apt; exit 1");
        Assert.StartsWith(warning, Assert.Single(sandbox.Run("setup", [], variables).Exits(0).ErrorLines), StringComparison.Ordinal);
        Assert.Equal("install -y -q --no-install-recommends libopenblas0-openmp\nupdate -q\n", sandbox.Read("apt"));
        Assert.StartsWith(warning, Assert.Single(sandbox.Run("setup", [], variables).Exits(0).ErrorLines), StringComparison.Ordinal);
        Assert.Equal(2, sandbox.Read("apt").Count(c => c == '\n'));

        sandbox.AddTool("apt-get", ": >$ROOT/installed");
        Assert.Empty(sandbox.Run("setup", ["--again"], variables).Exits(0).ErrorLines);
    }

    private string Property(string name) => XDocument.Parse(sandbox.Read("TorchSource.props")).Descendants(name).Single().Value;
}
