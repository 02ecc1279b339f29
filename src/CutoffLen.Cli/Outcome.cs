using CutoffLen.Common;

namespace CutoffLen.Cli;

/// <summary>Exit codes, and which one an exception means.</summary>
internal static class Outcome
{
    /// <summary>Done.</summary>
    public const int Good = 0;

    /// <summary>Something the user gave is wrong; stderr says what, where and what is allowed.</summary>
    public const int UserError = 1;

    /// <summary>The program is wrong; stderr holds the stack trace.</summary>
    public const int Bug = 2;

    /// <summary>Reports a command's exception on <paramref name="error"/> and returns the exit code.</summary>
    public static int Of(Exception failure, Interruption interruption, TextWriter error)
    {
        switch (failure)
        {
            case UserException:
                error.WriteLine($"cutoff: {failure.Message}");
                return UserError;

            case OperationCanceledException when interruption.Token.IsCancellationRequested:
                error.WriteLine("cutoff: interrupted");
                return interruption.ExitCode;

            // A missing file, a closed door, a full disk: the machine's state, and the message names the path.
            case IOException or UnauthorizedAccessException:
                error.WriteLine($"cutoff: {failure.Message}");
                return UserError;

            default:
                error.WriteLine($"cutoff: this is a bug in cutoff, not in what you gave it ({CutoffVersion.Text}). Please report it with the command line and this trace:");
                error.WriteLine(failure);
                return Bug;
        }
    }
}
