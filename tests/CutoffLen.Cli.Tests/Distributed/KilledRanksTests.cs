using System.Diagnostics;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Tests.Distributed;

/// <summary>
/// A rank that is killed ends the job, and the last checkpoint is whole: what is left goes on to the bits of an undisturbed run.
/// </summary>
public sealed class KilledRanksTests : IDisposable
{
    private const int Ranks = 2;

    // As many as the environment says: 50 take some minutes.
    private static readonly int Kills = int.TryParse(Environment.GetEnvironmentVariable("CUTOFF_RANK_KILLS"), out var kills) ? kills : 3;

    private readonly TinyRun run = new();

    [MpiFact]
    public void A_random_rank_killed_at_random_moments_costs_no_bit()
    {
        var random = new Random(7);
        var steps = 10 * Kills;
        string[] often = ["--steps", $"{steps}", "--set", "save_steps=1", "save_total_limit=2", "lr_scheduler_type=cosine"];
        Mpirun.Run(Ranks, run.Arguments("straight", often)).Exits(0);
        var furthest = 0L;
        for (var kill = 0; kill < Kills; kill++)
        {
            furthest = Kill([.. run.Arguments("killed", often), "--resume", "auto"], furthest, random, whileTraining: kill % 2 == 0);
        }

        Assert.True(furthest > 0, "no step was made between the kills");
        Mpirun.Run(Ranks, run.Arguments("killed", [.. often, "--resume", "auto"])).Exits(0);
        Assert.All(RunComparison.Of(new RunFolder(run["straight"]), new RunFolder(run["killed"]), steps), values => Assert.Equal(0, values.Different));
    }

    public void Dispose() => run.Dispose();

    /// <summary>Kills a rank after a moment, or when eight more steps are made, and returns the last step in the log.</summary>
    private long Kill(string[] arguments, long furthest, Random random, bool whileTraining)
    {
        var watch = Stopwatch.StartNew();
        TimeSpan? moment = null, killed = null;
        var result = Mpirun.RunUntil("KILL", random.Next(Ranks), IsTheMoment, Ranks, arguments);
        Assert.NotEqual(0, result.ExitCode);
        Assert.True(watch.Elapsed - killed < TimeSpan.FromMinutes(1), $"the job lived on for {watch.Elapsed - killed}");
        return LastStep();

        bool IsTheMoment()
        {
            var step = LastStep();
            if (!whileTraining || step > furthest)
            {
                moment ??= watch.Elapsed + TimeSpan.FromMilliseconds(random.Next(whileTraining ? 150 : 2000));
            }

            killed = watch.Elapsed;
            return watch.Elapsed >= moment || step >= furthest + 8;
        }
    }

    private long LastStep() => new RunFolder(run["killed"]).Lines().Select(line => line["step"]!.GetValue<long>()).DefaultIfEmpty().Max();
}
