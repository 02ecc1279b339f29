using System.Diagnostics;
using CutoffLen.Common;

namespace CutoffLen.Soak.Kills;

/// <summary>What became of killed runs.</summary>
/// <param name="Kills">Processes killed.</param>
/// <param name="DuringSaves">Those that a kill caught in a save.</param>
/// <param name="Finished">Runs that went on to their end and were compared.</param>
/// <param name="Faults">What went wrong.</param>
public sealed record KillResults(int Kills, int DuringSaves, int Finished, IReadOnlyList<string> Faults);

/// <summary>
/// Kills a command with SIGKILL at random moments, looks at what is left, and starts it again until it ends: nothing is lost
/// beyond the last save, and the end is bit for bit that of a run that nobody killed.
/// </summary>
public sealed class KillCampaign : IDisposable
{
    private readonly TemporaryFolder folder = new();
    private readonly KilledCommand command;
    private readonly bool keep;
    private bool hasFault;

    // From the start to the end of the run that had the least to do: later kills would only come after the end.
    private TimeSpan duration;

    /// <summary>Prepares inputs, and the run that nobody kills.</summary>
    /// <param name="command">One of <see cref="Commands"/>.</param>
    /// <param name="keep">Whether the folder stays where something goes wrong.</param>
    public KillCampaign(string command, bool keep = false)
    {
        this.keep = keep;
        this.command = Create(command, folder);
        this.command.Prepare();
        duration = this.command.Duration;
    }

    /// <summary>The names of all commands.</summary>
    public static IReadOnlyList<string> Commands { get; } = ["finetune_full", "finetune_lora", "save", "merge", "eval-ppl", "sweep"];

    /// <summary>Kills so often; the last run goes on to its end. It stops at the first fault.</summary>
    /// <param name="kills">How often.</param>
    /// <param name="seed">Of the moments.</param>
    /// <param name="onKill">Told of every kill.</param>
    public KillResults Run(int kills, int seed, Action? onKill = null)
    {
        var random = new Random(seed);
        var (killed, during, finished, faults) = (0, 0, 0, new List<string>());
        while (faults.Count == 0)
        {
            var (run, clock) = ($"run-{finished}", Stopwatch.StartNew());
            var left = command.Saves(run);
            bool IsSaving() => !command.Saves(run).IsSubsetOf(left);
            var result = CutoffProcess.RunOrKill(killed < kills ? Moment(random, IsSaving) : () => false, command.Arguments(run), command.Executable);
            if (result.ExitCode == CutoffResult.Killed)
            {
                killed++;
                onKill?.Invoke();
                during += IsSaving() ? 1 : 0;
                faults.AddRange(command.AfterKill(run, result));
                // A loop without end has nothing more to show.
                if (killed == kills && command is KilledSave)
                {
                    break;
                }

                continue;
            }

            if (result.ExitCode == 0)
            {
                duration = clock.Elapsed < duration ? clock.Elapsed : duration;
                command.Ended(result, run);
                faults.AddRange(command.Differences(run));
            }
            else
            {
                faults.Add($"exit {result.ExitCode}: {result.Error}");
            }

            finished++;
            if (killed == kills)
            {
                break;
            }

            if (faults.Count == 0)
            {
                command.Remove(run);
            }
        }

        hasFault |= faults.Count > 0;
        return new KillResults(killed, during, finished, [.. faults.Select(fault => $"{command.Name}, seed {seed}, kill {killed}: {fault}\n  kept in {folder.Root}")]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (!(keep && hasFault))
        {
            folder.Dispose();
        }
    }

    private static KilledCommand Create(string name, TemporaryFolder folder) => name switch
    {
        "finetune_full" => new KilledFinetune("full", folder),
        "finetune_lora" => new KilledFinetune("lora", folder),
        "save" => new KilledSave(folder),
        "merge" => new KilledMerge(folder),
        "eval-ppl" => new KilledEvalPpl(folder),
        "sweep" => new KilledSweep(folder),
        _ => throw new UserException($"unknown command '{name}'; known are {string.Join(", ", Commands)}"),
    };

    /// <summary>
    /// A moment between start and end, the same for the same random numbers as far as the machine is. Every third kill waits from
    /// there for a save to begin, and comes up to 3 ms later.
    /// </summary>
    private Func<bool> Moment(Random random, Func<bool> isSaving)
    {
        var clock = Stopwatch.StartNew();
        var at = random.NextDouble() * duration;
        var afterSave = TimeSpan.FromMilliseconds(3 * random.NextDouble());
        if (random.Next(3) > 0)
        {
            return () => clock.Elapsed >= at;
        }

        TimeSpan? seen = null;
        return () =>
        {
            seen ??= clock.Elapsed >= at && isSaving() ? clock.Elapsed : null;
            return clock.Elapsed >= seen + afterSave || clock.Elapsed >= at + duration;
        };
    }
}
