using System.Diagnostics;
using CutoffLen.Runs;

namespace CutoffLen.Cli.Tests;

/// <summary>Runs that are killed, or that have no room to save: what is left goes on to the bits of an undisturbed run.</summary>
public sealed class KilledTrainingTests : IDisposable
{
    private const int Kills = 20;
    private const int Steps = 240;
    private const int StepsBetweenKills = Steps / Kills / 2;

    private readonly TinyRun run = new();

    [Fact]
    [Trait("Category", "Slow")]
    public void Killed_at_twenty_random_moments_it_ends_in_the_same_bits()
    {
        string[] often = ["--steps", $"{Steps}", "--set", "save_steps=1", "save_total_limit=2", "lr_scheduler_type=cosine"];
        run.Finetune("straight", often).Exits(0);
        var random = new Random(7);
        var (duringSave, furthest) = (0, 0);
        for (var kill = 0; kill < Kills; kill++)
        {
            // Half of them from the start of the process on, when it opens and reads; half while it trains and saves.
            furthest = KillOnTheWay([.. run.Arguments("killed", often), "--resume", "auto"], furthest, random, whileTraining: kill % 2 == 0);
            duringSave += Directory.Exists(run["killed"]) && Directory.EnumerateDirectories(run["killed"], ".*.saving-*").Any() ? 1 : 0;
        }

        Assert.True(duringSave > 0, "no kill came during a save");
        Assert.True(furthest > 0, "no step was made between the kills");
        run.Finetune("killed", [.. often, "--resume", "auto"]).Exits(0);
        AssertSame("straight", "killed", Steps);
        Assert.Equal(
            ["checkpoint-239", "checkpoint-240", "final", "tensorboard"],
            Directory.EnumerateDirectories(run["killed"]).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void Without_room_to_save_it_keeps_the_last_checkpoint_and_says_so_once()
    {
        run.Finetune("straight", "--steps", "5").Exits(0);
        run.Finetune("full", "--steps", "2").Exits(0);
        var kept = Files(run["full/checkpoint-2"]);
        // No file may become larger than this many blocks of 1024 bytes: the system refuses, as it does on a full disk. The
        // runtime's own double mapping of code is a file to the system, so that goes.
        var room = new FileInfo(run["full/checkpoint-2/optimizer.safetensors"]).Length / 1024 - 1;
        var arguments = run.Arguments("full", "--steps", "5", "--resume", "auto").Select(argument => $"'{argument}'");
        var refused = CutoffProcess.Run(
            ["-c", $"trap '' XFSZ; ulimit -f {room}; exec '{CutoffProcess.Executable}' {string.Join(' ', arguments)}"], null,
            new Dictionary<string, string?> { ["DOTNET_EnableWriteXorExecute"] = "0" }, executable: "/bin/bash");
        refused.Exits(1);
        var problem = Assert.Single(refused.ErrorLines, line => line.StartsWith("cutoff:", StringComparison.Ordinal));
        Assert.Contains("checkpoint-4: cannot be written", problem);
        Assert.DoesNotContain("   at ", refused.Error);
        Assert.Equal(kept, Files(run["full/checkpoint-2"]));
        Assert.Equal(["checkpoint-2", "final", "tensorboard"], Directory.EnumerateDirectories(run["full"]).Select(Path.GetFileName).Order());

        run.Finetune("full", "--steps", "5", "--resume", "auto").Exits(0);
        AssertSame("straight", "full", 5);
    }

    public void Dispose() => run.Dispose();

    /// <summary>
    /// Starts the run, kills it after a moment, or sooner where it would come too near its end for the kills that follow,
    /// and returns the last step in its log.
    /// </summary>
    private int KillOnTheWay(string[] arguments, int furthest, Random random, bool whileTraining)
    {
        var watch = Stopwatch.StartNew();
        TimeSpan? moment = null;
        CutoffProcess.RunUntil("KILL", IsTheMoment, arguments).Exits(137);
        return LastStep();

        bool IsTheMoment()
        {
            var step = LastStep();
            if (!whileTraining || step > furthest)
            {
                moment ??= watch.Elapsed + TimeSpan.FromMilliseconds(random.Next(whileTraining ? 150 : 2000));
            }

            return watch.Elapsed >= moment || step >= furthest + StepsBetweenKills;
        }
    }

    private int LastStep() => (int)new RunFolder(run["killed"]).Lines().Select(line => line["step"]!.GetValue<long>()).DefaultIfEmpty().Max();

    private void AssertSame(string one, string other, long steps) =>
        Assert.All(RunComparison.Of(new RunFolder(run[one]), new RunFolder(run[other]), steps), values => Assert.Equal(0, values.Different));

    private static Dictionary<string, string> Files(string folder) => Directory.EnumerateFiles(folder)
        .ToDictionary(file => Path.GetFileName(file), file => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file))));
}
