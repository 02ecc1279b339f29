using System.CommandLine;

namespace CutoffLen.Cli;

/// <summary>Gives a command its body.</summary>
internal static class CommandActions
{
    /// <summary>
    /// Sets the body, which gets the parsed options and a token that Ctrl-C cancels. Logging is ready when it starts. It
    /// runs on the main thread without awaits, since dispose scopes of tensors belong to a thread; it ends an interrupted run
    /// by saving what must not be lost and throwing <see cref="OperationCanceledException"/>.
    /// </summary>
    public static Command Runs(this Command command, Action<ParseResult, CancellationToken> body)
    {
        command.SetAction((parsed, interrupted) =>
        {
            Logging.Start(parsed.GetValue(CommonOptions.Verbose), parsed.GetValue(CommonOptions.Quiet));
            body(parsed, interrupted);
            return Task.FromResult(Outcome.Good);
        });
        return command;
    }
}
