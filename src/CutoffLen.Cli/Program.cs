using System.Globalization;
using CutoffLen.Cli.Interaction;
using CutoffLen.Common;
using CutoffLen.Distributed;

namespace CutoffLen.Cli;

/// <summary>The program <c>cutoff</c>.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        // Numbers are written and read the same everywhere.
        CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.InvariantCulture;
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.DefaultThreadCurrentUICulture = CultureInfo.InvariantCulture;
        if (World.IsLaunched)
        {
            // mpirun passes output on from a terminal of its own, to which .NET would write control sequences.
            Environment.SetEnvironmentVariable("TERM", "dumb");
        }

        using var interruption = new Interruption();
        try
        {
            using var world = World.Join();
            return (int)CommandLine.Run(args, new Terminal(world), interruption);
        }
        catch (UserException problem)
        {
            // No MPI library for the ranks of a launcher.
            return (int)Failure.Report(problem, interruption, World.IsFirst ? Console.Error : TextWriter.Null);
        }
    }
}
