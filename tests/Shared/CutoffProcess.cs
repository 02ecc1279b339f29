using System.Diagnostics;
using System.Runtime.InteropServices;

namespace CutoffLen.Tests;

/// <summary>What a finished <c>cutoff</c> left: exit code and everything it wrote.</summary>
internal sealed record CutoffResult(int ExitCode, string Output, string Error)
{
    /// <summary>The exit code of a process that SIGKILL ended.</summary>
    public const int Killed = 137;

    /// <summary>The lines of <see cref="Error"/>, without the empty one at the end.</summary>
    public string[] ErrorLines => Error.Split('\n', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Throws, with everything the program said, unless it exited with <paramref name="code"/>.</summary>
    public CutoffResult Exits(int code) => ExitCode == code
        ? this
        : throw new InvalidOperationException($"exit {ExitCode}, expected {code}\nstdout:\n{Output}\nstderr:\n{Error}");
}

/// <summary>Runs the built <c>cutoff</c> executable as a user does: a process of its own, nothing mocked.</summary>
internal static class CutoffProcess
{
    // Generous: the machine may be busy.
    private const int PatienceSeconds = 600;

    private static readonly TimeSpan PollInterval = TimeSpan.FromMilliseconds(1);

    /// <summary>The program beside the test assembly; the project reference copies it there.</summary>
    public static string Executable { get; } =
        Path.Combine(AppContext.BaseDirectory, "cutoff");

    /// <summary>The runtime that runs the tests runs the program too, wherever it is installed.</summary>
    public static string DotnetRoot { get; } = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));

    /// <summary>Runs to the end with these arguments and no input.</summary>
    public static CutoffResult Run(params string[] arguments) => Run(arguments, input: null);

    /// <summary>Runs to the end; a run longer than <paramref name="timeoutSeconds"/> is killed and fails the test.</summary>
    /// <param name="arguments">One string an argument, no quoting.</param>
    /// <param name="input">Text for standard input, which is closed after it.</param>
    /// <param name="environment">Variables to set; null as value removes one.</param>
    /// <param name="workingDirectory">The current folder when not that of the tests.</param>
    /// <param name="timeoutSeconds">How long it may take.</param>
    /// <param name="executable">A copy of the program elsewhere.</param>
    public static CutoffResult Run(
        string[] arguments,
        string? input,
        IReadOnlyDictionary<string, string?>? environment = null,
        string? workingDirectory = null,
        int timeoutSeconds = PatienceSeconds,
        string? executable = null)
    {
        using var process = Start(arguments, environment, workingDirectory, executable);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        WriteInput(process, input);
        return End(process, output, error, timeoutSeconds);
    }

    /// <summary>
    /// Runs until <paramref name="isReady"/>, sends the signal and waits for the end; a run that is never ready, or ends before, fails
    /// the test.
    /// </summary>
    /// <param name="signal">Its name as kill(1) takes it: <c>TERM</c>, <c>KILL</c>.</param>
    /// <param name="isReady">Asked every few milliseconds.</param>
    /// <param name="arguments">One string an argument, no quoting.</param>
    /// <param name="workingDirectory">The current folder when not that of the tests.</param>
    /// <param name="environment">Variables to set; null as value removes one.</param>
    /// <param name="executable">Another program.</param>
    /// <param name="victim">Which process gets the signal, of the started one's id; that one where not given.</param>
    public static CutoffResult RunUntil(
        string signal, Func<bool> isReady, string[] arguments, string? workingDirectory = null,
        IReadOnlyDictionary<string, string?>? environment = null, string? executable = null, Func<int, int>? victim = null)
    {
        var sent = false;
        var result = Watch(
            arguments, workingDirectory, isReady, process =>
            {
                sent = true;
                using var kill = Process.Start("kill", [$"-{signal}", $"{victim?.Invoke(process.Id) ?? process.Id}"]);
                kill.WaitForExit();
            },
            executable, environment);
        return sent ? result : throw new InvalidOperationException($"the moment of the signal never came; exit {result.ExitCode}\n{result.Output}\n{result.Error}");
    }

    /// <summary>Runs to the end, or kills it at a moment: the exit code is then <see cref="CutoffResult.Killed"/>.</summary>
    /// <param name="isMoment">Asked every millisecond.</param>
    /// <param name="arguments">One string an argument, no quoting.</param>
    /// <param name="executable">Another program than <c>cutoff</c>.</param>
    public static CutoffResult RunOrKill(Func<bool> isMoment, string[] arguments, string? executable = null) =>
        Watch(arguments, null, isMoment, process => process.Kill(), executable);

    private static CutoffResult Watch(
        string[] arguments, string? workingDirectory, Func<bool> isMoment, Action<Process> act, string? executable = null,
        IReadOnlyDictionary<string, string?>? environment = null)
    {
        using var process = Start(arguments, environment, workingDirectory, executable);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        WriteInput(process, null);
        var watch = Stopwatch.StartNew();
        while (!process.WaitForExit(PollInterval) && watch.Elapsed < TimeSpan.FromSeconds(PatienceSeconds))
        {
            if (isMoment())
            {
                act(process);
                break;
            }
        }

        return End(process, output, error, PatienceSeconds);
    }

    private static Process Start(string[] arguments, IReadOnlyDictionary<string, string?>? environment, string? workingDirectory, string? executable)
    {
        var start = new ProcessStartInfo(executable ?? Executable, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = workingDirectory ?? AppContext.BaseDirectory,
        };
        start.Environment["DOTNET_ROOT"] = DotnetRoot;
        start.Environment["XDG_CACHE_HOME"] = Path.Combine(AppContext.BaseDirectory, "cache");
        foreach (var (name, value) in environment ?? new Dictionary<string, string?>())
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    private static CutoffResult End(Process process, Task<string> output, Task<string> error, int timeoutSeconds)
    {
        if (!process.WaitForExit(TimeSpan.FromSeconds(timeoutSeconds)))
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
            throw new TimeoutException($"still running after {timeoutSeconds} s: {string.Join(' ', process.StartInfo.ArgumentList)}\n{output.Result}\n{error.Result}");
        }

        process.WaitForExit();
        return new CutoffResult(process.ExitCode, output.Result, error.Result);
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
