using CutoffLen.Runs;

namespace CutoffLen.Cli.Tests;

/// <summary>Runs that have no room to save: what is left goes on to the bits of an undisturbed run.</summary>
public sealed class FullDiskTests : IDisposable
{
    private readonly TinyRun run = new();

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

    private void AssertSame(string one, string other, long steps) =>
        Assert.All(RunComparison.Of(new RunFolder(run[one]), new RunFolder(run[other]), steps), values => Assert.Equal(0, values.Different));

    private static Dictionary<string, string> Files(string folder) => Directory.EnumerateFiles(folder)
        .ToDictionary(file => Path.GetFileName(file), file => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(file))));
}
