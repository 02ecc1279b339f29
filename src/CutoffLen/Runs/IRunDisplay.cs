namespace CutoffLen.Runs;

/// <summary>How far a piece of work is.</summary>
/// <param name="Done">In the units of the total given to <see cref="IRunDisplay.Show{T}"/>.</param>
/// <param name="Note">What else a watcher wants to know: loss, tokens/s, memory.</param>
public readonly record struct ProgressStep(double Done, string Note = "");

/// <summary>Shows to people what a run does: the command line draws bars and keeps run.log.</summary>
public interface IRunDisplay
{
    /// <summary>Called when a run's folder stands, and before anything about that run is logged.</summary>
    void Enter(string folder) { }

    /// <summary>Called when what is logged from now on is of no run's folder.</summary>
    void Leave() { }

    /// <summary>Does a piece of work on the calling thread and shows how far it is.</summary>
    /// <param name="title">What is being done, for example <c>finetune</c>.</param>
    /// <param name="total">When it is done, in any unit.</param>
    /// <param name="work">Reports a step as often as it likes.</param>
    T Show<T>(string title, double total, Func<IProgress<ProgressStep>, T> work);
}

/// <summary>A display that calls back: the piece of work, the share of it that is done, and the note.</summary>
public sealed class RunProgress(Action<string, double, string> report) : IRunDisplay
{
    /// <summary>Shows nothing.</summary>
    public static RunProgress None { get; } = new((_, _, _) => { });

    /// <inheritdoc/>
    public T Show<T>(string title, double total, Func<IProgress<ProgressStep>, T> work) => work(new Steps(title, total, report));

    private sealed class Steps(string title, double total, Action<string, double, string> report) : IProgress<ProgressStep>
    {
        public void Report(ProgressStep value) => report(title, total > 0 ? value.Done / total : 1, value.Note);
    }
}
