using System.Globalization;
using CutoffLen.Cli.Interaction;

namespace CutoffLen.Cli;

/// <summary>The program <c>cutoff</c>.</summary>
internal static class Program
{
    private static int Main(string[] args)
    {
        // Numbers are written and read the same everywhere.
        CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.InvariantCulture;
        CultureInfo.DefaultThreadCurrentCulture = CultureInfo.DefaultThreadCurrentUICulture = CultureInfo.InvariantCulture;
        using var interruption = new Interruption();
        return (int)CommandLine.Run(args, new Terminal(), interruption);
    }
}
