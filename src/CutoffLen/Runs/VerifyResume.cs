using System.Text;
using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Distributed;

namespace CutoffLen.Runs;

/// <summary>Proves on the user's own model, data and machine that resuming is exact.</summary>
public static class VerifyResume
{
    /// <summary>Trains 2N steps at once, and N steps, saved, loaded anew, and N more; compares every bit.</summary>
    /// <param name="config">The run. Its output_dir keeps both runs; without one nothing is kept.</param>
    /// <param name="half">N.</param>
    /// <param name="display">Shows progress.</param>
    /// <param name="ranks">The ranks that train together; null for one. Rank 0 compares, the others get nothing.</param>
    /// <param name="stop">Stops it.</param>
    /// <exception cref="UserException">What is wrong with the configuration, the model or the data.</exception>
    public static IReadOnlyList<ComparedValues> Run(
        RunConfig config, int half, IRunDisplay? display = null, ICollectives? ranks = null, CancellationToken stop = default)
    {
        ranks ??= SingleRank.Instance;
        var scratch = config.Training.OutputDir is null
            ? Encoding.UTF8.GetString(ranks.FromFirst(() => Encoding.UTF8.GetBytes(Directory.CreateTempSubdirectory("cutoff-verify-").FullName)))
            : null;
        try
        {
            return Run(config, scratch ?? config.Training.OutputDir!, half, display, ranks, stop);
        }
        finally
        {
            if (scratch is not null && ranks.Rank == 0)
            {
                Directory.Delete(scratch, recursive: true);
            }
        }
    }

    private static IReadOnlyList<ComparedValues> Run(RunConfig config, string folder, int half, IRunDisplay? display, ICollectives ranks, CancellationToken stop)
    {
        // No checkpoint but where a run ends.
        using var plan = FinetunePlan.Open(config with
        {
            Training = config.Training with { OutputDir = folder, MaxSteps = 2 * half, SaveSteps = 0, SaveTotalLimit = null, LoggingSteps = 1 },
            Evaluation = config.Evaluation with { EvalSteps = 0 },
        }, ranks, stop);
        var straight = new FinetuneRun(plan, folder: Path.Combine(folder, "straight"), display: display);
        Finish(straight, stop);

        using var interruption = CancellationTokenSource.CreateLinkedTokenSource(stop);
        var halves = new FinetuneRun(plan, folder: Path.Combine(folder, "halves"), display: display)
        {
            OnStep = step =>
            {
                if (step.Step == half)
                {
                    interruption.Cancel(); // as Ctrl-C does: the run saves and ends
                }
            },
        };
        FinetuneLog.Ending(halves, halves.Run(interruption.Token));
        stop.ThrowIfCancellationRequested();
        Finish(new FinetuneRun(plan, "auto", halves.Folder.Path, display), stop);
        return ranks.Rank == 0 ? RunComparison.Of(straight.Folder, halves.Folder, 2 * half) : [];
    }

    private static void Finish(FinetuneRun run, CancellationToken stop)
    {
        FinetuneLog.Ending(run, run.Run(stop));
        stop.ThrowIfCancellationRequested();
    }
}
