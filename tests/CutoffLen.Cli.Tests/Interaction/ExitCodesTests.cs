using System.Runtime.InteropServices;
using CutoffLen.Cli.Interaction;
using CutoffLen.Common;

namespace CutoffLen.Cli.Tests.Interaction;

public sealed class ExitCodesTests : IDisposable
{
    private readonly Interruption interruption = new();
    private readonly StringWriter error = new();

    public void Dispose()
    {
        interruption.Dispose();
        error.Dispose();
    }

    [Fact]
    public void A_user_error_exits_1_with_its_message_alone()
    {
        Assert.Equal(1, Of(new UserException("no such method 'yarm'; allowed are rope, yarn")));
        Assert.Equal("cutoff: no such method 'yarm'; allowed are rope, yarn", error.ToString().Trim());
    }

    [Fact]
    public void A_missing_file_is_a_user_error()
    {
        Assert.Equal(1, Of(new FileNotFoundException("Could not find file '/x/y'.")));
        Assert.Equal("cutoff: Could not find file '/x/y'.", error.ToString().Trim());
    }

    [Fact]
    public void Anything_else_is_a_bug_and_exits_2_with_its_trace()
    {
        try
        {
            throw new InvalidOperationException("impossible");
        }
        catch (InvalidOperationException failure)
        {
            Assert.Equal(2, Of(failure));
        }

        Assert.Contains("bug", error.ToString(), StringComparison.Ordinal);
        Assert.Contains("impossible", error.ToString(), StringComparison.Ordinal);
        Assert.Contains(nameof(Anything_else_is_a_bug_and_exits_2_with_its_trace), error.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(PosixSignal.SIGINT, 130)]
    [InlineData(PosixSignal.SIGTERM, 143)]
    public void The_first_signal_asks_the_command_to_end_and_gives_the_exit_code(PosixSignal signal, int code)
    {
        var context = new PosixSignalContext(signal);
        interruption.Handle(context);
        Assert.True(context.Cancel);
        Assert.True(interruption.Token.IsCancellationRequested);
        Assert.Equal(code, Of(new OperationCanceledException(interruption.Token)));
    }

    [Fact]
    public void The_second_signal_ends_the_process()
    {
        interruption.Handle(new PosixSignalContext(PosixSignal.SIGINT));
        var second = new PosixSignalContext(PosixSignal.SIGINT);
        interruption.Handle(second);
        Assert.False(second.Cancel);
    }

    [Fact]
    public void A_cancellation_that_nobody_asked_for_is_a_bug() =>
        Assert.Equal(2, Of(new OperationCanceledException()));

    private int Of(Exception failure) => (int)Failure.Report(failure, interruption, error);
}
