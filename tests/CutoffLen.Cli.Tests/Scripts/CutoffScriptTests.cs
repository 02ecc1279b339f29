namespace CutoffLen.Cli.Tests.Scripts;

/// <summary>scripts/cutoff with a pretended build and program.</summary>
public sealed class CutoffScriptTests : IDisposable
{
    private const string Dotnet = """
        output=$ROOT/src/CutoffLen.Cli/bin/Release/net10.0
        if [ "$1" = build ]; then
            echo built >>$ROOT/builds
            sleep 0.05
            mkdir -p $output && touch $output/cutoff.dll
        else
            echo "$(basename "$1")|${*:2}"
            exit 7
        fi
        """;

    private readonly ScriptSandbox sandbox = new();

    public CutoffScriptTests()
    {
        sandbox.Write("src/CutoffLen/A.cs", "");
        sandbox.Write(".editorconfig", "");
        sandbox.AddTool("dotnet", Dotnet);
    }

    public void Dispose() => sandbox.Dispose();

    [Fact]
    public void Arguments_and_the_exit_code_pass_through()
    {
        var result = sandbox.Run("cutoff", ["rope", "show", "a b"]).Exits(7);
        Assert.Equal("cutoff.dll|rope show a b\n", result.Output);
        Assert.Equal("building cutoff ...\n", result.Error);
    }

    [Fact]
    public void Nothing_is_built_when_nothing_changed()
    {
        sandbox.Run("cutoff", []).Exits(7);
        Assert.Empty(sandbox.Run("cutoff", []).Exits(7).Error);
        Assert.Equal("built\n", sandbox.Read("builds"));
    }

    [Theory]
    [InlineData("src/CutoffLen/A.cs")]
    [InlineData("src/CutoffLen/New.cs")]
    [InlineData("Directory.Build.props")]
    public void A_changed_file_is_built(string file)
    {
        sandbox.Run("cutoff", []).Exits(7);
        sandbox.Write(file, "<Project />");
        sandbox.Run("cutoff", []).Exits(7);
        Assert.Equal("built\nbuilt\n", sandbox.Read("builds"));
    }

    [Fact]
    public void A_deleted_file_is_a_change()
    {
        sandbox.Run("cutoff", []).Exits(7);
        File.Delete(sandbox.PathOf("src/CutoffLen/A.cs"));
        sandbox.Run("cutoff", []).Exits(7);
        Assert.Equal("built\nbuilt\n", sandbox.Read("builds"));
    }

    [Fact]
    public void An_older_file_in_the_place_of_another_is_a_change()
    {
        sandbox.Write("older.cs", "older");
        File.SetLastWriteTimeUtc(sandbox.PathOf("older.cs"), new DateTime(2020, 1, 1, 0, 0, 0, DateTimeKind.Utc));
        sandbox.Run("cutoff", []).Exits(7);
        File.Move(sandbox.PathOf("older.cs"), sandbox.PathOf("src/CutoffLen/A.cs"), overwrite: true);
        sandbox.Run("cutoff", []).Exits(7);
        Assert.Equal("built\nbuilt\n", sandbox.Read("builds"));
    }

    [Fact]
    public void A_file_saved_during_the_build_is_built_next_time()
    {
        sandbox.AddTool("dotnet", Dotnet.Replace("sleep 0.05", "sleep 0.05; touch $ROOT/src/CutoffLen/A.cs", StringComparison.Ordinal));
        sandbox.Run("cutoff", []).Exits(7);
        sandbox.Run("cutoff", []).Exits(7);
        Assert.Equal("built\nbuilt\n", sandbox.Read("builds"));
    }

    [Fact]
    public void Two_at_once_build_once()
    {
        using var first = sandbox.Start("cutoff", ["one"]);
        using var second = sandbox.Start("cutoff", ["two"]);
        Assert.Equal("cutoff.dll|one\n", first.StandardOutput.ReadToEnd());
        Assert.Equal("cutoff.dll|two\n", second.StandardOutput.ReadToEnd());
        Assert.Equal("built\n", sandbox.Read("builds"));
    }

    [Fact]
    public void A_failed_build_shows_its_output_on_stderr_and_runs_nothing()
    {
        sandbox.AddTool("dotnet", "echo 'A.cs(1,1): error CS1002'; exit 1");
        var result = sandbox.Run("cutoff", ["env"]).Exits(1);
        Assert.Empty(result.Output);
        Assert.Contains("error CS1002", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void A_feed_without_CUDAs_package_is_one_line_that_says_how_to_build_for_the_CPU()
    {
        sandbox.AddTool("dotnet", "echo 'CutoffLen.csproj : error NU1101: Unable to find package TorchSharp-cuda-linux. No packages exist'; exit 1");
        Assert.Contains("Cuda=false scripts/cutoff", Assert.Single(sandbox.Run("cutoff", ["env"]).Exits(1).ErrorLines[1..]), StringComparison.Ordinal);
    }

    [Fact]
    public void Another_choice_of_Cuda_is_built()
    {
        sandbox.Run("cutoff", []).Exits(7);
        sandbox.Run("cutoff", [], "Cuda=false").Exits(7);
        sandbox.Run("cutoff", [], "Cuda=false").Exits(7);
        Assert.Equal("built\nbuilt\n", sandbox.Read("builds"));
    }

    [Fact]
    public void Completion_never_builds()
    {
        Assert.Empty(sandbox.Run("cutoff", ["[suggest:1]", "e"]).Exits(0).Output);
        sandbox.Run("cutoff", []).Exits(7);
        sandbox.Write("src/CutoffLen/A.cs", "changed");
        Assert.Equal("cutoff.dll|[suggest:1] e\n", sandbox.Run("cutoff", ["[suggest:1]", "e"]).Exits(7).Output);
        Assert.Equal("built\n", sandbox.Read("builds"));
    }
}
