namespace CutoffLen.Cli.Tests.Scripts;

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
        Pretend(a: "Failed: 0, Passed: 5, Skipped: 2, Total: 7", b: "Failed: 0, Passed: 3, Skipped: 0, Total: 3");
        Assert.Equal("8 passed, 0 failed, 2 skipped", LastLine(0));
    }

    [Fact]
    public void A_failed_test_fails_the_run()
    {
        Pretend(a: "Failed: 3, Passed: 4, Skipped: 0, Total: 7", b: "Failed: 0, Passed: 3, Skipped: 0, Total: 3", exitOfA: 1);
        Assert.Equal("7 passed, 3 failed, 0 skipped", LastLine(1));
    }

    [Fact]
    public void A_run_that_broke_off_counts_as_a_failure()
    {
        Pretend(a: "Failed: 0, Passed: 2, Skipped: 0, Total: 2", b: "Failed: 0, Passed: 3, Skipped: 0, Total: 3", exitOfA: 1);
        Assert.Equal("5 passed, 1 failed, 0 skipped", LastLine(1));
    }

    [Fact]
    public void A_project_that_ran_no_test_fails_the_run()
    {
        Pretend(a: "Failed: 0, Passed: 0, Skipped: 0, Total: 0", b: "Failed: 0, Passed: 3, Skipped: 0, Total: 3");
        Assert.Equal("3 passed, 0 failed, 0 skipped", LastLine(1));
    }

    [Fact]
    public void With_a_filter_one_project_with_a_match_is_enough()
    {
        Pretend(a: "Failed: 0, Passed: 0, Skipped: 0, Total: 0", b: "Failed: 0, Passed: 3, Skipped: 0, Total: 3");
        Assert.Equal("3 passed, 0 failed, 0 skipped", LastLine(0, "--filter", "Name~x"));
        Pretend(a: "Failed: 0, Passed: 0, Skipped: 0, Total: 0", b: "Failed: 0, Passed: 0, Skipped: 0, Total: 0");
        Assert.Equal("0 passed, 0 failed, 0 skipped", LastLine(1, "--filter", "Name~x"));
    }

    [Theory]
    [InlineData("--filter (Category!=Slow)")]
    [InlineData("", "--slow")]
    [InlineData("--filter (Name~x)&(Category!=Slow)", "--filter", "Name~x")]
    [InlineData("--filter (Name~x)", "--slow", "--filter", "Name~x")]
    public void Slow_tests_run_on_demand_and_other_arguments_pass_on(string expected, params string[] arguments)
    {
        Pretend(a: "Failed: 0, Passed: 1, Skipped: 0, Total: 1", b: "Failed: 0, Passed: 1, Skipped: 0, Total: 1");
        LastLine(0, [.. arguments, "--diag-of-mine"]);
        foreach (var line in File.ReadLines(sandbox.PathOf("runs")))
        {
            Assert.EndsWith($"/results --diag-of-mine {expected}".TrimEnd(), line.TrimEnd(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void A_project_may_have_tests_that_run_in_a_process_of_their_own()
    {
        sandbox.Write("tests/B.Tests/B.Tests.csproj", "<IsTestProject>true</IsTestProject>\n<TestsApart>.Long.</TestsApart>");
        Pretend(a: "Failed: 0, Passed: 5, Skipped: 0, Total: 5", b: "Failed: 0, Passed: 3, Skipped: 1, Total: 4");
        Assert.Equal("11 passed, 0 failed, 2 skipped", LastLine(0));
        var ofB = File.ReadLines(sandbox.PathOf("runs")).Where(line => line.Contains("B.Tests.csproj", StringComparison.Ordinal)).Select(line => line.Split("--filter ")[1].TrimEnd());
        Assert.Equal(["(Category!=Slow)&(FullyQualifiedName!~.Long.)", "(Category!=Slow)&(FullyQualifiedName~.Long.)"], ofB.Order(StringComparer.Ordinal));
    }

    private void Pretend(string a, string b, int exitOfA = 0) => sandbox.AddTool("dotnet", $$"""
        [ "$1" = test ] || exit 0
        echo "$*" >>$ROOT/runs
        case $2 in
            *A.Tests.csproj) echo 'Passed!  - {{a}}, Duration: 1 s - A.Tests.dll (net10.0)'; exit {{exitOfA}} ;;
            *B.Tests.csproj) echo 'Passed!  - {{b}}, Duration: 1 s - B.Tests.dll (net10.0)' ;;
        esac
        """);

    private string LastLine(int exitCode, params string[] arguments) =>
        sandbox.Run("test", arguments).Exits(exitCode).Output.TrimEnd('\n').Split('\n')[^1];
}
