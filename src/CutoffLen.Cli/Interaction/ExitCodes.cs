using System.Reflection;
using CutoffLen.Common;
using CutoffLen.Hardware;

namespace CutoffLen.Cli.Interaction;

/// <summary>Exit codes of the program.</summary>
internal enum ExitCodes
{
    /// <summary>Done.</summary>
    Done = 0,

    /// <summary>Something the user gave is wrong; stderr says what, where and what is allowed.</summary>
    UserError = 1,

    /// <summary>The program is wrong; stderr holds the stack trace.</summary>
    Bug = 2,

    /// <summary>Ended by Ctrl-C: 128 + SIGINT, as shells report it.</summary>
    Interrupted = 130,

    /// <summary>Ended by SIGTERM, SIGUSR1 or SIGHUP: 128 + the number of SIGTERM.</summary>
    Terminated = 143,
}

/// <summary>What an exception of a command means.</summary>
internal static class Failure
{
    /// <summary>Version and, in a build from a Git checkout, the commit.</summary>
    public static string Version { get; } =
        typeof(Failure).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <summary>Reports an exception and returns the exit code.</summary>
    /// <param name="failure">The exception.</param>
    /// <param name="interruption">Whether, and by what, the command was interrupted.</param>
    /// <param name="error">Where to.</param>
    /// <param name="speaker">Who says it.</param>
    public static ExitCodes Report(Exception failure, Interruption interruption, TextWriter error, string speaker = "cutoff")
    {
        switch (failure)
        {
            // A missing file, a closed door, a full disk: the machine's state, and the message names the path.
            case UserException or IOException or UnauthorizedAccessException:
                error.WriteLine($"{speaker}: {failure.Message}");
                return ExitCodes.UserError;

            case OperationCanceledException when interruption.Token.IsCancellationRequested:
                error.WriteLine($"{speaker}: interrupted");
                return interruption.ExitCode;

            // A verb that uses torch without asking for it first.
            case TypeInitializationException or DllNotFoundException or EntryPointNotFoundException or BadImageFormatException
                when MissingTorch() is { } missing:
                return Report(missing, interruption, error, speaker);

            default:
                error.WriteLine($"{speaker}: this is a bug in cutoff, not in what you gave it ({Version}). Please report it with the command line and this trace:");
                error.WriteLine(failure);
                return ExitCodes.Bug;
        }
    }

    private static UserException? MissingTorch()
    {
        try
        {
            TorchLibrary.Require();
            return null;
        }
        catch (UserException missing)
        {
            return missing;
        }
    }
}
