using System.Text.Json.Nodes;
using System.Xml.Linq;
using CutoffLen.Checkpoints;
using CutoffLen.Tokenization;

namespace CutoffLen.Cli.Tests.Commands;

/// <summary>Sweeps over methods and cutoffs of a model of a few kilobytes.</summary>
public sealed class SweepTests : IDisposable
{
    private static readonly string[] Needed = ["model: the checkpoint", "ropes: ", "eval_data: ", "--out (output_dir)"];
    private readonly TemporaryFolder folder = new();

    public SweepTests()
    {
        TinyCheckpoint.SaveWithTexts(folder, texts: 4);
        folder.Write("sweep.yaml", $"""
            model: {folder["model"]}
            data: [{folder["texts"]}]
            eval_data: [{folder["texts"]}]
            cache_dir: {folder["cache"]}
            ropes: [rope, ntk, dynamic-ntk]
            finetune_ropes: [rope, ntk]
            cutoffs: [96, 128]
            lengths: [32, 128, 256]
            protocol: prefix
            max_steps: 4
            learning_rate: 1.0e-3
            save_steps: 1
            logging_steps: 1
            dtype: fp32
            device: cpu
            threads: 1
            """);
    }

    [Fact]
    public void A_sweep_fine_tunes_and_measures_every_cell_and_started_again_does_nothing_but_the_report()
    {
        var result = Sweep("out", "--json").Exits(0);
        var json = JsonNode.Parse(result.Output)!;
        Assert.Equal(
            [("rope", null), ("ntk:factor=1.5", null), ("ntk:factor=2", null), ("dynamic-ntk:original=64", null), ("rope", 96), ("ntk:factor=1.5", 96), ("rope", 128), ("ntk:factor=2", 128)],
            json["cells"]!.AsArray().Select(cell => ((string)cell!["method"]!, (int?)cell["cutoff"])));
        // The native length is measured though nobody asked.
        Assert.Equal([32, 64, 128, 256], json["lengths"]!.AsArray().Select(length => (int)length!));
        // A fine-tuned checkpoint stands under the very positions that were measured before: ntk is saved as another base.
        Assert.Equal(Hash(json, "ntk:factor=2", null), Hash(json, "ntk:factor=2", 128));
        Assert.NotEqual(Hash(json, "ntk:factor=1.5", 96), Hash(json, "ntk:factor=2", 128));
        var tuned = json["cells"]![7]!;
        Assert.True((double)tuned["against_before"]![0]!["nll"]! < 0, "training on the texts did not lower their loss");
        Assert.Equal(4, (int)tuned["training"]!["steps"]!);
        Assert.True((double)tuned["training"]!["seconds"]! > 0);
        Assert.Equal(1 + 8, File.ReadAllLines(folder["out/sweep.csv"]).Length);
        XDocument.Parse(File.ReadAllText(folder["out/report.html"])["<!DOCTYPE html>\n".Length..]);
        Assert.Equal(["ntk-128", "ntk-96", "rope-128", "rope-96"], Directory.EnumerateDirectories(folder["out/runs"]).Select(Path.GetFileName).Order(StringComparer.Ordinal));

        var files = Files("out");
        File.Delete(folder["out/report.html"]);
        // From elsewhere, by the sweep's own file.
        var again = Cutoff.Run("sweep", "--config", folder["out/config.yaml"], "--json").Exits(0);
        Assert.Equal(json["cells"]!.ToJsonString(), JsonNode.Parse(again.Output)!["cells"]!.ToJsonString());
        Assert.DoesNotContain("finetune", again.Error);
        Assert.DoesNotContain("tokens/s", again.Error);
        Assert.DoesNotContain("logits up to", again.Error);
        Assert.Equal(files, Files("out"));
        Assert.True(File.Exists(folder["out/report.html"]));
    }

    [Fact]
    public void Stopped_by_SIGTERM_it_saves_exits_with_143_and_says_how_to_go_on()
    {
        var stopped = CutoffProcess.RunUntil(
            "TERM", () => File.Exists(folder["out/runs/rope-96/log.jsonl"]), Arguments("out", "--set", "max_steps=100000", "cutoffs=96", "save_steps=0")).Exits(143);
        Assert.Contains("start it again to go on", stopped.Error);
        Assert.Equal("", stopped.Output);
        Assert.NotEmpty(Directory.EnumerateDirectories(folder["out/runs/rope-96"], "checkpoint-*"));
    }

    [Fact]
    public void A_changed_setting_that_would_mix_results_is_one_clear_error_and_changes_nothing()
    {
        string[] small = ["--set", "cutoffs=96", "finetune_ropes=rope", "max_steps=1"];
        Sweep("out", small).Exits(0);
        var files = Files("out");
        var changed = Sweep("out", [.. small, "learning_rate=5e-4"]).Exits(1);
        Assert.Contains("rope at cutoff 96", changed.Error);
        Assert.Contains("learning_rates was", changed.Error);
        Assert.Equal(files, Files("out"));
        TinyCheckpoint.Save(folder["other"], TinyCheckpoint.Config with { VocabSize = CheckpointTokenizer.Open(folder["model"]).VocabularySize }, seed: 5);
        File.Copy(folder["model/tokenizer.model"], folder["other/tokenizer.model"]);
        Assert.Contains("model was", Sweep("out", [.. small, $"model={folder["other"]}"]).Exits(1).Error);

        // What mixes nothing may change: another cutoff and another length are added, the old cell stays.
        var more = Sweep("out", "--set", "cutoffs=96,128", "finetune_ropes=rope", "max_steps=1", "lengths=32,256").Exits(0);
        Assert.DoesNotContain("fine-tuning with rope at 96", more.Error);
        Assert.Contains("fine-tuning with rope at 128", more.Error);
    }

    [Fact]
    public void A_row_with_training_positions_of_its_own_is_another_run_than_the_plain_one()
    {
        string[] small = ["--json", "--set", "cutoffs=96", "finetune_ropes=rope", "max_steps=1"];
        Sweep("out", small).Exits(0);
        folder.Write("sweep.yaml", File.ReadAllText(folder["sweep.yaml"]).Replace("[rope, ntk, dynamic-ntk]", "[rope, {rope: rope, positions: pose, target_len: 128}]"));
        var result = Sweep("out", small).Exits(0);
        Assert.DoesNotContain("fine-tuning with rope at 96", result.Error);
        var cells = JsonNode.Parse(result.Output)!["cells"]!.AsArray();
        Assert.Equal([("rope", null), ("rope", 96), ("rope positions=pose target_len=128", 96)], cells.Select(cell => ((string)cell!["rope"]!, (int?)cell["cutoff"])));
        var run = folder["out/runs/rope_positions=pose_target_len=128-96"];
        Assert.Contains("target_len: 128\n", File.ReadAllText(Path.Combine(run, "config.yaml")));
        Assert.Contains("positions: pose\n", File.ReadAllText(Path.Combine(run, "config.yaml")));
        Assert.NotEqual(FirstLoss("out/runs/rope-96"), FirstLoss("out/runs/rope_positions=pose_target_len=128-96"));
        Assert.Contains("{rope: rope, positions: pose, target_len: 128}", File.ReadAllText(folder["out/config.yaml"]));
    }

    [Fact]
    public void Adapters_are_swept_as_whole_models_are()
    {
        var json = JsonNode.Parse(Sweep("out", "--json", "--set", "method=lora", "cutoffs=96", "finetune_ropes=ntk", "lora_r=2", "learning_rate=1e-2", "max_steps=8").Exits(0).Output)!;
        var tuned = json["cells"]!.AsArray()[^1]!;
        Assert.True((double)tuned["against_before"]![0]!["nll"]! < 0);
        Assert.True(AdapterCheckpoint.ExistsIn(folder["out/runs/ntk-96/final"]));
        Assert.Equal(Hash(json, "ntk:factor=1.5", null), Hash(json, "ntk:factor=1.5", 96));
    }

    [Fact]
    public void What_is_missing_or_wrong_is_said_before_any_work()
    {
        folder.Write("empty.yaml", "seed: 1");
        var empty = Cutoff.Run("sweep", "--config", folder["empty.yaml"]).Exits(1).Error;
        Assert.All(Needed, key => Assert.Contains(key, empty));
        Assert.Contains("set for each cell", Sweep("a", "--set", "cutoff_len=96").Exits(1).Error);
        Assert.Contains("context_parallel_size: 2", Sweep("a", "--set", "context_parallel_size=2").Exits(1).Error);
        Assert.Contains("no such file", Sweep("a", "--set", $"data={folder["nowhere"]}").Exits(1).Error);
        Assert.Contains("no such folder", Sweep("a", "--set", $"model={folder["nowhere"]}").Exits(1).Error);
        Assert.Contains("unknown method", Sweep("a", "--set", "ropes=rope,ropes").Exits(1).Error);
        Assert.False(Directory.Exists(folder["a/runs"]));
        Assert.Contains("keys of 'cutoff sweep'", Cutoff.Run("finetune", "--config", folder["sweep.yaml"], "--cutoff", "96", "--out", folder["b"]).Exits(1).Error);
    }

    [Fact]
    public void A_published_table_is_repeated_at_lengths_in_proportion_to_the_native_one()
    {
        // Position Interpolation's 2048 tokens are 64 here, its 8192 are 256.
        string[] before = ["--config", folder["sweep.yaml"], "--out", folder["out"], "--json", "--set", "ropes=rope,linear", "finetune_ropes=", "cutoffs="];
        var published = JsonNode.Parse(Cutoff.Run(["reproduce", "pi-table", .. before]).Exits(0).Output)!["published"]!;
        Assert.Equal([64, 128, 256, 512, 1024], published["lengths_here"]!.AsArray().Select(length => (int)length!));
        Assert.Equal(["rope", "linear", null], published["rows"]!.AsArray().Take(3).Select(row => (string?)row!["rope"]));
        Assert.True((double)published["rows"]![0]!["perplexity_here"]![2]! > 1);
        Assert.Equal(2, published["relations"]!.AsArray().Count);
        Assert.Contains("pi-table", File.ReadAllText(folder["out/report.html"]));

        Assert.Contains("no cell of this sweep is a row of yarn-table", Cutoff.Run(["reproduce", "yarn-table", .. before]).Exits(1).Error);
        Assert.Contains("the tables are pi-table", Cutoff.Run("reproduce", "table-1").Exits(1).Error);
    }

    public void Dispose() => folder.Dispose();

    private double FirstLoss(string run) => (double)JsonNode.Parse(File.ReadLines(folder[$"{run}/log.jsonl"]).First())!["loss"]!;

    private static string Hash(JsonNode json, string method, int? cutoff) => (string)json["cells"]!.AsArray()
        .Single(cell => (string)cell!["method"]! == method && (int?)cell["cutoff"] == cutoff)!["proof"]!["table_hash"]!;

    private CutoffResult Sweep(string run, params string[] more) => Cutoff.Run(Arguments(run, more));

    private string[] Arguments(string run, params string[] more) => ["sweep", "--config", folder["sweep.yaml"], "--out", folder[run], .. more];

    /// <summary>Results and models with the times they were written at; not what every start writes.</summary>
    private List<(string Path, long Length, DateTime Written)> Files(string run) =>
    [
        .. new DirectoryInfo(folder[run]).EnumerateFiles("*", SearchOption.AllDirectories)
            .Where(file => file.Name is "results.jsonl" || file.FullName.Contains("/runs/", StringComparison.Ordinal))
            .Select(file => (file.FullName, file.Length, file.LastWriteTimeUtc)).OrderBy(file => file.FullName, StringComparer.Ordinal),
    ];
}
