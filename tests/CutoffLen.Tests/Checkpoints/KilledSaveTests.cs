using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using CutoffLen.Checkpoints;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Checkpoints;

/// <summary>A process that saves checkpoint after checkpoint to one folder, killed for real.</summary>
public sealed class KilledSaveTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_kill_during_a_save_leaves_a_whole_checkpoint()
    {
        var random = new Random(1);
        var target = folder["checkpoint"];
        for (int kills = 0, during = 0; during < 4; kills++)
        {
            Assert.True(kills < 40, $"only {during} of {kills} kills came during a save");
            var (begun, done) = SaveUntilKilled(target, after: 2, TimeSpan.FromMilliseconds(random.Next(150)));
            // Left behind by a save that did not come to its end; the next process removes it.
            during += Directory.EnumerateDirectories(folder.Root, ".checkpoint.saving-*").Any() ? 1 : 0;
            Assert.InRange(NumberOf(target), done, begun);
        }
    }

    /// <summary>The one number that every weight and the configuration of a checkpoint have.</summary>
    private static int NumberOf(string target)
    {
        using var scope = NewDisposeScope();
        using var checkpoint = HuggingFaceCheckpoint.Open(target);
        var number = (int)checkpoint.Config.InitializerRange;
        Assert.True(checkpoint.FileCount > 1);
        Assert.All(checkpoint.Load().parameters(), weight => Assert.True(weight.eq(number).all().item<bool>()));
        return number;
    }

    private static (int Begun, int Done) SaveUntilKilled(string target, int after, TimeSpan delay)
    {
        using var process = Process.Start(new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "SaveLoop"), [target])
        {
            RedirectStandardOutput = true,
            Environment = { ["DOTNET_ROOT"] = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..")) },
        })!;
        var (begun, done) = (0, 0);
        while (done < after)
        {
            Count(process.StandardOutput.ReadLine() ?? throw new InvalidOperationException("the process ended by itself"));
        }

        Thread.Sleep(delay);
        process.Kill();
        while (process.StandardOutput.ReadLine() is { } line)
        {
            Count(line);
        }

        process.WaitForExit();
        return (begun, done);

        void Count(string line)
        {
            var number = int.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture);
            _ = line.StartsWith("begin", StringComparison.Ordinal) ? begun = number : done = number;
        }
    }
}
