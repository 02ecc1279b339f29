namespace CutoffLen.Cli;

/// <summary>The program <c>cutoff</c>: parse, run one command, turn every outcome into an exit code.</summary>
internal static class Program
{
    private static async Task<int> Main(string[] args)
    {
        using var interruption = new Interruption();
        try
        {
            return await CommandLine.Run(args, interruption.Token);
        }
        catch (Exception failure)
        {
            return Outcome.Of(failure, interruption, Console.Error);
        }
        finally
        {
            Logging.Stop();
        }
    }
}
