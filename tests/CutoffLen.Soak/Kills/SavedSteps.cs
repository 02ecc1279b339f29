using CutoffLen.Checkpoints;
using CutoffLen.Common;
using CutoffLen.Runs;

namespace CutoffLen.Soak.Kills;

/// <summary>What the checkpoints of training runs that save every step must have after a kill.</summary>
internal sealed class SavedSteps
{
    private readonly Dictionary<string, long> saved = [];

    /// <summary>What is wrong with a run that was killed: a saved step is lost, the log is ahead of it, or a checkpoint is not whole.</summary>
    public IEnumerable<string> Check(string run, RunFolder folder)
    {
        var newest = folder.Checkpoints().Select(checkpoint => checkpoint.Step).DefaultIfEmpty().Max();
        var before = saved.GetValueOrDefault(run);
        saved[run] = newest;
        if (newest < before)
        {
            yield return $"the newest checkpoint is that of step {newest}, but step {before} had been saved";
        }

        // A step's line is written before its checkpoint.
        var logged = folder.Lines().Select(line => line["step"]!.GetValue<long>()).DefaultIfEmpty().Max();
        if (logged > newest + 1)
        {
            yield return $"step {logged} is in the log, but the newest checkpoint is that of step {newest}";
        }

        foreach (var (_, checkpoint) in folder.Checkpoints())
        {
            if (Fault(checkpoint) is { } fault)
            {
                yield return fault;
            }
        }
    }

    /// <summary>Forgets a run that ended.</summary>
    public void Forget(string run) => saved.Remove(run);

    private static string? Fault(string checkpoint)
    {
        try
        {
            TrainingState.Read(checkpoint);
            ModelFolder.Open(checkpoint).Dispose();
            return null;
        }
        catch (UserException fault)
        {
            return fault.Message;
        }
    }
}
