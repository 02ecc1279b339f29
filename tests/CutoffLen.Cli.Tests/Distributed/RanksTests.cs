using System.Diagnostics;
using System.Text.Json.Nodes;
using CutoffLen.Checkpoints.Safetensors;
using CutoffLen.Runs;
using static TorchSharp.torch;

namespace CutoffLen.Cli.Tests.Distributed;

/// <summary>The program as several ranks: training, and what happens when one of them ends.</summary>
public sealed class RanksTests : IDisposable
{
    // Two sequences of 96 tokens a step: two accumulation steps of one rank, one of two.
    private static readonly string[] TwoSequences = ["--set", "tokens_per_step=192", "lora_dropout=0.1"];

    private readonly TinyRun run = new();

    [MpiFact]
    public void Collectives_are_right_in_pieces_of_any_size()
    {
        foreach (var ranks in new[] { 2, 3 })
        {
            Assert.Matches(@"^\d{2} checks\n$", Mpirun.RunProgram(ranks, "Ranks").Exits(0).Output);
        }
    }

    [MpiFact]
    public void Env_tells_the_ranks_their_hosts_and_devices_and_the_library()
    {
        var env = JsonNode.Parse(Mpirun.Run(2, "env", "--json").Exits(0).Output)!; // one rank speaks
        Assert.Contains("MPI", (string)env["mpi"]!["version"]!);
        var ranks = env["mpi"]!["ranks"]!.AsArray();
        Assert.Equal([0, 1], ranks.Select(rank => (int)rank!["rank"]!));
        Assert.All(ranks, rank => Assert.Equal((Environment.MachineName, "cpu", 1), ((string)rank!["host"]!, (string)rank["device"]!, (int)rank["threads"]!)));
    }

    [MpiTheory]
    [InlineData("full")]
    [InlineData("lora")]
    public void Two_ranks_train_what_one_does_and_either_goes_on_with_the_others_run(string method)
    {
        string[] common = ["--method", method, .. TwoSequences];
        run.Finetune("one", ["--steps", "6", .. common]).Exits(0);
        var result = Mpirun.Run(2, run.Arguments("two", ["--steps", "6", .. common])).Exits(0);
        Assert.Single(result.ErrorLines, line => line.EndsWith("total train batch size 2: 1 a device x 1 accumulation steps x 2 ranks", StringComparison.Ordinal));
        Assert.Single(result.ErrorLines, line => line.Contains("finished after 6 steps", StringComparison.Ordinal));
        AssertClose("one", "two", 6);
        Assert.Equal(Files("one"), Files("two"));

        Mpirun.Run(2, run.Arguments("parts", ["--steps", "2", .. common])).Exits(0);
        var resumed = run.Finetune("parts", ["--steps", "4", "--resume", "auto", .. common]).Exits(0);
        Assert.Contains("resumed elsewhere: ranks was 2 and is 1", resumed.Error);
        Mpirun.Run(2, run.Arguments("parts", ["--steps", "6", "--resume", "auto", .. common])).Exits(0);
        AssertClose("one", "parts", 6);
    }

    [MpiFact]
    public void What_is_wrong_for_all_ranks_is_said_once()
    {
        run.Write("used/file.txt", "not ours");
        var watch = Stopwatch.StartNew();
        AssertSaidOnce("holds no run of ours", Mpirun.Run(2, run.Arguments("used")));
        AssertSaidOnce("unknown option '--nonsense'", Mpirun.Run(2, "finetune", "--nonsense"));
        AssertSaidOnce("missing: no such folder", Mpirun.Run(2, "inspect", run["missing"]));
        Assert.True(watch.Elapsed < TimeSpan.FromMinutes(3), $"three refusals took {watch.Elapsed}");
        Assert.False(Directory.Exists(run["new"]));
    }

    [MpiFact]
    public void What_is_wrong_on_one_rank_is_said_by_it_and_ends_all()
    {
        var lost = run.Arguments("out").Select(argument => argument == run["model"] ? run["missing"] : argument).ToArray();
        var result = Mpirun.RunDifferently(run.Arguments("out"), lost).Exits(1);
        Assert.Contains($"cutoff, rank 1 of 2 on {Environment.MachineName}: {run["missing"]}", result.Error);
    }

    [MpiFact]
    public void Ranks_with_other_data_or_settings_are_refused()
    {
        var result = Mpirun.RunDifferently(run.Arguments("out"), run.Arguments("out", "--seed", "7")).Exits(1);
        AssertSaidOnce("ranks 0 and 1 would do different work: seed 42, and seed 7", result);
    }

    [MpiFact]
    public void Stopped_it_saves_once_and_all_ranks_end()
    {
        var stopped = Mpirun.RunUntil("USR1", null, () => Steps("stopped") >= 3, 2, run.Arguments("stopped", ["--steps", "100000", .. TwoSequences]));
        Assert.Single(stopped.ErrorLines, line => line.Contains("--resume auto", StringComparison.Ordinal));
        var step = new RunFolder(run["stopped"]).Checkpoints()[^1].Step;
        Assert.Equal(step, Steps("stopped"));
        string[] more = ["--steps", $"{step + 2}", .. TwoSequences];
        Mpirun.Run(2, run.Arguments("stopped", [.. more, "--resume", "auto"])).Exits(0);
        Mpirun.Run(2, run.Arguments("straight", more)).Exits(0);
        Assert.All(RunComparison.Of(new RunFolder(run["straight"]), new RunFolder(run["stopped"]), step + 2), values => Assert.Equal(0, values.Different));
    }

    public void Dispose() => run.Dispose();

    private static void AssertSaidOnce(string message, CutoffResult result)
    {
        result.Exits(1);
        Assert.Contains(message, Assert.Single(result.ErrorLines, line => line.StartsWith("cutoff", StringComparison.Ordinal)));
    }

    private long Steps(string name) => new RunFolder(run[name]).Lines().Select(line => line["step"]!.GetValue<long>()).DefaultIfEmpty().Max();

    private string[] Files(string name) => [.. Directory.EnumerateFiles(run[name], "*", SearchOption.AllDirectories)
        .Select(path => Path.GetRelativePath(run[name], path)).Where(path => !path.StartsWith("tensorboard", StringComparison.Ordinal)).Order()];

    /// <summary>The same losses to 1e-5, and the same tensors to 1e-4 of the largest value.</summary>
    private void AssertClose(string one, string other, long step)
    {
        var (losses, others) = (Losses(one), Losses(other));
        Assert.Equal(losses.Length, others.Length);
        Assert.All(losses.Zip(others), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
        foreach (var path in Directory.EnumerateFiles(new RunFolder(run[one]).Checkpoint(step), "*.safetensors"))
        {
            using var scope = NewDisposeScope();
            using var first = SafetensorsFile.Open(path);
            using var second = SafetensorsFile.Open(Path.Combine(new RunFolder(run[other]).Checkpoint(step), Path.GetFileName(path)));
            Assert.Equal(first.Tensors.Select(tensor => tensor.Name), second.Tensors.Select(tensor => tensor.Name));
            foreach (var tensor in first.Tensors)
            {
                var (a, b) = (first.Read(tensor.Name), second.Read(tensor.Name));
                var away = ((a - b).abs().max() / a.abs().max().clamp_min(1e-8)).item<float>();
                Assert.True(away <= 1e-4, $"{Path.GetFileName(path)} {tensor.Name} is {away} away");
            }
        }
    }

    private double[] Losses(string name) => [.. new RunFolder(run[name]).Lines().Select(line => line["loss"]!.GetValue<double>())];
}
