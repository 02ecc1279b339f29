using CutoffLen.Cli.Interaction;
using TorchSharp;

namespace CutoffLen.Cli.Tests;

/// <summary>What a finished <c>cutoff</c> left: exit code and everything it wrote.</summary>
internal sealed record CutoffResult(int ExitCode, string Output, string Error)
{
    /// <summary>The lines of <see cref="Error"/>, without the empty one at the end.</summary>
    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Fails the test with everything the program said unless it exited with <paramref name="code"/>.</summary>
    public CutoffResult Exits(int code)
    {
        Assert.True(ExitCode == code, $"exit {ExitCode}, expected {code}\nstdout:\n{Output}\nstderr:\n{Error}");
        return this;
    }
}

/// <summary>The command line in this process, for tests whose subject is not the process: <see cref="CutoffProcess"/> starts one.</summary>
internal static class Cutoff
{
    /// <summary>Runs one command line to the end. What it sets for the whole process is set back.</summary>
    public static CutoffResult Run(params string[] arguments)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        using var interruption = new Interruption();
        var threads = torch.get_num_threads();
        try
        {
            var code = CommandLine.Run(arguments, new Terminal(output, error), interruption);
            return new CutoffResult((int)code, output.ToString(), error.ToString());
        }
        finally
        {
            torch.set_num_threads(threads);
        }
    }
}
