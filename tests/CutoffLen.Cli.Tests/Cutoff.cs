using CutoffLen.Cli.Interaction;
using TorchSharp;

namespace CutoffLen.Cli.Tests;

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
