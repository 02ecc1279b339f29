using System.Runtime.InteropServices;

namespace CutoffLen.Cli.Interaction;

/// <summary>
/// Ctrl-C, SIGTERM, SIGUSR1 and SIGHUP (a terminal that was closed) as a cancellation token: the first asks the command to save and end, a second one ends the
/// process at once. mpirun passes SIGUSR1 on to its ranks without ending them soon after, and SLURM can send it ahead of a
/// time limit.
/// </summary>
internal sealed class Interruption : IDisposable
{
    private const PosixSignal User1 = (PosixSignal)10; // SIGUSR1 of Linux on x86 and Arm

    private readonly CancellationTokenSource source = new();
    private readonly PosixSignalRegistration[] registrations;

    /// <summary>Starts listening.</summary>
    public Interruption() => registrations =
    [
        PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
        PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        PosixSignalRegistration.Create(User1, Handle),
        PosixSignalRegistration.Create(PosixSignal.SIGHUP, Handle), // stays ignored under nohup
    ];

    /// <summary>Cancelled at the first signal.</summary>
    public CancellationToken Token => source.Token;

    /// <summary>The exit code of the signal that came.</summary>
    public ExitCodes ExitCode { get; private set; } = ExitCodes.Interrupted;

    /// <summary>Stops listening.</summary>
    public void Dispose()
    {
        foreach (var registration in registrations)
        {
            registration.Dispose();
        }

        source.Dispose();
    }

    internal void Handle(PosixSignalContext context)
    {
        if (source.IsCancellationRequested)
        {
            return; // not cancelled: the signal's own action, the end of the process, follows
        }

        context.Cancel = true;
        ExitCode = context.Signal == PosixSignal.SIGINT ? ExitCodes.Interrupted : ExitCodes.Terminated;
        source.Cancel();
    }
}
