using CutoffLen.Common;
using CutoffLen.Configuration;
using CutoffLen.Runs;
using CutoffLen.Training;

namespace CutoffLen.LibraryTests;

/// <summary>What README shows in C#: the library alone, on the demo's model and texts.</summary>
public sealed class LibraryTests : IDisposable
{
    private readonly string folder = Directory.CreateTempSubdirectory("cutoff-library-").FullName;
    private readonly string demo = Path.Combine(Root(), "configs", "demo");

    public void Dispose() => Directory.Delete(folder, recursive: true);

    [Fact]
    public void Fine_tunes_at_a_cutoff_and_measures_before_and_after()
    {
        var losses = new List<double?>();
        var notes = new List<string>();
        var stop = CancellationToken.None;

        var config = new RunConfig
        {
            Model = new() { Model = Path.Combine(demo, "model"), Rope = "linear:factor=2", Dtype = "fp32", Device = "cpu" },
            Data = new() { Data = [Path.Combine(demo, "northanger-abbey.jsonl")], CutoffLen = 512, CacheDir = folder },
            Training = new() { OutputDir = Path.Combine(folder, "run"), MaxSteps = 4, LearningRate = 3e-4 },
        };
        using var plan = FinetunePlan.Open(config, stop: stop);
        var outcome = new FinetuneRun(plan) { OnStep = step => losses.Add(step.Loss) }.Run(stop);

        using var before = ModelSession.Open(config.Model.Model!);
        using var after = ModelSession.Open(outcome.Folder);
        var progress = new RunProgress((task, share, note) => notes.Add($"{task} {share:P0} {note}"));
        string[] data = [Path.Combine(demo, "persuasion.jsonl")];
        int[] lengths = [256, 512];
        var untuned = PerplexityRun.Measure(before, data, lengths, documents: 1, display: progress, stop: stop);
        var tuned = PerplexityRun.Measure(after, data, lengths, documents: 1, display: progress, stop: stop);

        Assert.Equal((true, 4), (outcome.Finished, losses.Count));
        Assert.Contains(notes, note => note.Contains("100") && note.Contains("tokens/s"));
        // Beyond the native 256 tokens the model fails as it is, and does not once it is fine-tuned there.
        Assert.Equal([256, 512], tuned.Lengths.Select(length => length.Length));
        Assert.True(untuned.Lengths[1].Perplexity > 1.2 * untuned.Lengths[0].Perplexity, $"{untuned.Lengths[0].Perplexity} and {untuned.Lengths[1].Perplexity}");
        Assert.True(tuned.Lengths[1].Perplexity < 1.1 * tuned.Lengths[0].Perplexity, $"{tuned.Lengths[0].Perplexity} and {tuned.Lengths[1].Perplexity}");
    }

    [Fact]
    public void A_cancelled_run_saves_and_is_resumed()
    {
        using var stop = new CancellationTokenSource();
        using var plan = FinetunePlan.Open(Tiny("cancelled", TrainingMethod.Full));
        var outcome = new FinetuneRun(plan)
        {
            OnStep = step =>
            {
                if (step.Step == 2)
                {
                    stop.Cancel();
                }
            },
        }.Run(stop.Token);
        Assert.Equal((false, 2), (outcome.Finished, outcome.Step));
        Assert.Equal((true, 3), (new FinetuneRun(plan, resume: "auto").Run() is { } rest ? (rest.Finished, rest.Step) : default));
    }

    [Fact]
    public void Merges_an_adapter()
    {
        using var plan = FinetunePlan.Open(Tiny("lora", TrainingMethod.Lora));
        var adapters = new FinetuneRun(plan).Run().Folder;

        var report = MergeRun.Run(adapters, Path.Combine(folder, "merged"));

        Assert.Equal(report.PerplexityBefore, report.PerplexityAfter, report.PerplexityBefore * 0.01);
        using var merged = ModelSession.Open(Path.Combine(folder, "merged"));
        Assert.Null(merged.Folder.Adapters);
        Assert.ThrowsAny<OperationCanceledException>(() => MergeRun.Run(adapters, Path.Combine(folder, "stopped"), stop: new CancellationToken(canceled: true)));
        Assert.False(Directory.Exists(Path.Combine(folder, "stopped")));
    }

    [Fact]
    public void What_is_wrong_with_a_configuration_is_said_at_once()
    {
        Assert.Contains("--data (data)", Assert.Throws<UserException>(() => FinetunePlan.Open(new RunConfig())).Message);
        var config = Tiny("wrong", TrainingMethod.Full);
        var wrong = config with { Training = config.Training with { LearningRate = -1 }, Data = config.Data with { CutoffLen = 1 } };
        var lines = Assert.Throws<UserException>(() => FinetunePlan.Open(wrong)).Message.Split('\n');
        Assert.Equal(2, lines.Length);
        Assert.Contains("cutoff_len", lines[0]);
        Assert.Contains("learning_rate", lines[1]);
    }

    private RunConfig Tiny(string name, TrainingMethod method) => new()
    {
        Model = new() { Model = Path.Combine(demo, "model"), Dtype = "fp32", Device = "cpu" },
        Data = new() { Data = [Path.Combine(demo, "northanger-abbey.jsonl")], CutoffLen = 64, CacheDir = folder },
        Training = new() { OutputDir = Path.Combine(folder, name), MaxSteps = 3, Method = method },
    };

    private static string Root()
    {
        var above = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(above.FullName, "CutoffLen.sln")))
        {
            above = above.Parent ?? throw new DirectoryNotFoundException($"no CutoffLen.sln above {AppContext.BaseDirectory}");
        }

        return above.FullName;
    }
}
