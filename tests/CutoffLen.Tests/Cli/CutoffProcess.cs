using System.Diagnostics;
using System.Runtime.InteropServices;

namespace CutoffLen.Tests.Cli;

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

/// <summary>Runs the built <c>cutoff</c> executable as a user does: a process of its own, nothing mocked.</summary>
internal static class CutoffProcess
{
    /// <summary>The program beside the test assembly; the project reference copies it there.</summary>
    public static string Executable { get; } =
        Path.Combine(AppContext.BaseDirectory, OperatingSystem.IsWindows() ? "cutoff.exe" : "cutoff");

    /// <summary>The runtime that runs the tests runs the program too, wherever it is installed.</summary>
    public static string DotnetRoot { get; } = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));

    /// <summary>Runs to the end with these arguments and no input.</summary>
    public static CutoffResult Run(params string[] arguments) => Run(arguments, input: null);

    /// <summary>Runs to the end; a run longer than <paramref name="timeoutSeconds"/> is killed and fails the test.</summary>
    /// <param name="arguments">One string an argument, no quoting.</param>
    /// <param name="input">Text for standard input, which is closed after it.</param>
    /// <param name="environment">Variables to set; null as value removes one.</param>
    /// <param name="workingDirectory">The current folder when not that of the tests.</param>
    /// <param name="timeoutSeconds">Generous by default: the machine may be busy.</param>
    /// <param name="executable">A copy of the program elsewhere.</param>
    public static CutoffResult Run(
        string[] arguments,
        string? input,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? workingDirectory = null,
        int timeoutSeconds = 300,
        string? executable = null)
    {
        using var process = Start(arguments, environment, workingDirectory, executable);
        var output = process.StandardOutput.ReadToEndAsync();
        var error = process.StandardError.ReadToEndAsync();
        WriteInput(process, input);
        if (!process.WaitForExit(TimeSpan.FromSeconds(timeoutSeconds)))
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
            Assert.Fail($"still running after {timeoutSeconds} s: {string.Join(' ', arguments)}\n{output.Result}\n{error.Result}");
        }

        process.WaitForExit();
        return new CutoffResult(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Starts the program with all three streams redirected and leaves the rest (signals, kills) to the test.</summary>
    public static Process Start(
        string[] arguments,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? workingDirectory = null,
        string? executable = null)
    {
        var start = new ProcessStartInfo(executable ?? Executable, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = workingDirectory ?? AppContext.BaseDirectory,
        };
        start.Environment["DOTNET_ROOT"] = DotnetRoot;
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    private static void WriteInput(Process process, string? input)
    {
        try
        {
            process.StandardInput.Write(input);
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // The program ended without reading its input, as `cutoff --help` does.
        }
    }
}
