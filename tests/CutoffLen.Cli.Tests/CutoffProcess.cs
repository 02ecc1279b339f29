using System.Diagnostics;
using System.Runtime.InteropServices;

namespace CutoffLen.Cli.Tests;

/// <summary>Runs the built <c>cutoff</c> executable as a user does: a process of its own, nothing mocked.</summary>
internal static class CutoffProcess
{
    // Generous: the machine may be busy.
    private const int PatienceSeconds = 300;

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
        using var process = Start(arguments, environment, workingDirectory, executable);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        WriteInput(process, null);
        var watch = Stopwatch.StartNew();
        while (!isReady())
        {
            if (process.HasExited || watch.Elapsed > TimeSpan.FromSeconds(PatienceSeconds))
            {
                process.Kill(entireProcessTree: true);
                var result = End(process, output, error, PatienceSeconds);
                Assert.Fail($"the moment of the signal never came; exit {result.ExitCode} after {watch.Elapsed}\n{result.Output}\n{result.Error}");
            }

            Thread.Sleep(5);
        }

        using (var kill = Process.Start("kill", [$"-{signal}", $"{victim?.Invoke(process.Id) ?? process.Id}"]))
        {
            kill.WaitForExit();
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
            Assert.Fail($"still running after {timeoutSeconds} s: {string.Join(' ', process.StartInfo.ArgumentList)}\n{output.Result}\n{error.Result}");
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
