using System.Diagnostics;

namespace CutoffLen.Cli.Tests;

public sealed class CompletionTests
{
    [Theory]
    [InlineData("cutoff en", "env")]
    [InlineData("cutoff env --dt", "--dtype")]
    [InlineData("cutoff env --dtype ", "auto bf16 fp32")]
    [InlineData("cutoff env --json --t", "--threads")]
    [InlineData("cutoff env --nothing-like-it", "")]
    public void Bash_completes_what_the_program_suggests(string line, string expected)
    {
        const string script = """
            source "$1"
            COMP_LINE=$2 COMP_POINT=${#2} COMP_WORDS=($2)
            [[ $2 != *" " ]] || COMP_WORDS+=("")
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
            _cutoff
            echo "${COMPREPLY[*]}"
            """;
        var start = new ProcessStartInfo("bash", ["-c", script, "bash", Path.Combine(Repository.Root, "scripts", "completion.sh"), line])
        {
            RedirectStandardOutput = true,
        };
        // Apphosts look for the runtime here first.
        start.Environment["DOTNET_ROOT"] = CutoffProcess.DotnetRoot;
        start.Environment["PATH"] = $"{AppContext.BaseDirectory}:{Environment.GetEnvironmentVariable("PATH")}";
        using var bash = Process.Start(start)!;
        var output = bash.StandardOutput.ReadToEnd();
        bash.WaitForExit();
        Assert.Equal(expected, output.Trim());
    }

    [Fact]
    public void The_program_itself_suggests_what_fits_at_a_position() =>
        Assert.Contains("env", Cutoff.Run("[suggest:2]", "en").Exits(0).Output.Split('\n'));
}
