namespace CutoffLen.Tests.Scripts;

/// <summary>scripts/test with pretended runs: what it counts and when it fails.</summary>
public sealed class TestScriptTests : IDisposable
{
    private readonly ScriptSandbox sandbox = new();

    public TestScriptTests()
    {
        sandbox.Write("tests/A.Tests/A.Tests.csproj", "<IsTestProject>true</IsTestProject>");
        sandbox.Write("tests/B.Tests/B.Tests.csproj", "<IsTestProject>true</IsTestProject>");
        sandbox.Write("tests/Tool/Tool.csproj", "<OutputType>Exe</OutputType>");
    }

    public void Dispose() => sandbox.Dispose();

    [Fact]
    public void The_last_line_sums_over_the_projects()
    {
        Pretend(a: "total=\"7\" executed=\"5\" passed=\"5\"", b: "total=\"3\" executed=\"3\" passed=\"3\"");
        Assert.Equal("8 passed, 0 failed, 2 skipped", LastLine(0));
    }

    [Fact]
    public void A_failed_test_fails_the_run()
    {
        Pretend(a: "total=\"7\" executed=\"7\" passed=\"4\"", b: "total=\"3\" executed=\"3\" passed=\"3\"", exitOfA: 1);
        Assert.Equal("7 passed, 3 failed, 0 skipped", LastLine(1));
    }

    [Fact]
    public void A_run_that_broke_off_counts_as_a_failure()
    {
        Pretend(a: "total=\"2\" executed=\"2\" passed=\"2\"", b: "total=\"3\" executed=\"3\" passed=\"3\"", exitOfA: 1);
        Assert.Equal("5 passed, 1 failed, 0 skipped", LastLine(1));
    }

    [Fact]
    public void A_project_that_ran_no_test_fails_the_run()
    {
        Pretend(a: "total=\"0\" executed=\"0\" passed=\"0\"", b: "total=\"3\" executed=\"3\" passed=\"3\"");
        Assert.Equal("3 passed, 0 failed, 0 skipped", LastLine(1));
    }

    [Fact]
    public void With_a_filter_one_project_with_a_match_is_enough()
    {
        Pretend(a: "total=\"0\" executed=\"0\" passed=\"0\"", b: "total=\"3\" executed=\"3\" passed=\"3\"");
        Assert.Equal("3 passed, 0 failed, 0 skipped", LastLine(0, "--filter", "Name~x"));
        Pretend(a: "total=\"0\" executed=\"0\" passed=\"0\"", b: "total=\"0\" executed=\"0\" passed=\"0\"");
        Assert.Equal("0 passed, 0 failed, 0 skipped", LastLine(1, "--filter", "Name~x"));
    }

    [Theory]
    [InlineData("--filter Category!=Slow")]
    [InlineData("", "--slow")]
    [InlineData("--filter (Name~x)&(Category!=Slow)", "--filter", "Name~x")]
    [InlineData("--filter Name~x", "--slow", "--filter", "Name~x")]
    public void Slow_tests_run_on_demand_and_other_arguments_pass_on(string expected, params string[] arguments)
    {
        Pretend(a: "total=\"1\" executed=\"1\" passed=\"1\"", b: "total=\"1\" executed=\"1\" passed=\"1\"");
        LastLine(0, [.. arguments, "--diag-of-mine"]);
        foreach (var line in File.ReadLines(sandbox.PathOf("runs")))
        {
            Assert.EndsWith($"--blame-hang-dump-type none --diag-of-mine {expected}".TrimEnd(), line.TrimEnd(), StringComparison.Ordinal);
        }
    }

    private void Pretend(string a, string b, int exitOfA = 0) => sandbox.AddTool("dotnet", $$"""
        [ "$1" = test ] || exit 0
        echo "$*" >>$ROOT/runs
        while [ "$1" != --results-directory ]; do shift; done
        mkdir -p "$2"
        case $2 in
            *A.Tests) echo '<Counters {{a}} failed="0" />' >"$2/A.Tests.trx"; exit {{exitOfA}} ;;
            *B.Tests) echo '<Counters {{b}} failed="0" />' >"$2/B.Tests.trx" ;;
        esac
        """);

    private string LastLine(int exitCode, params string[] arguments) =>
        sandbox.Run("test", arguments).Exits(exitCode).Output.TrimEnd('\n').Split('\n')[^1];
}
