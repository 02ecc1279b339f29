using System.Text.Json.Nodes;
using CutoffLen.Runs;

namespace CutoffLen.Soak.Kills;

/// <summary>finetune: a step a line in the log, a checkpoint a step, a measurement every third.</summary>
internal sealed class KilledFinetune(string method, TemporaryFolder folder) : KilledCommand($"finetune_{method}", folder)
{
    private const int Steps = 9;

    private static readonly string[] Times = ["seconds", "tokens_per_second", "eval_seconds"];

    private readonly SavedSteps saved = new();

    public override string[] Arguments(string run) => TinyCheckpoint.FinetuneArguments(
        Folder, run, "--steps", $"{Steps}", "--method", method, "--resume", "auto", "--set", "save_steps=1", "save_total_limit=2",
        "lr_scheduler_type=cosine", "lora_r=2", "lora_dropout=0.1", "eval_steps=3", $"eval_data={Folder["texts/0.txt"]}", "eval_lengths=64", $"cache_dir={CacheOf(run)}");

    public override IEnumerable<string> AfterKill(string run, CutoffResult killed) => saved.Check(run, new RunFolder(Folder[run]));

    public override IEnumerable<string> Differences(string run)
    {
        saved.Forget(run);
        var (one, other) = (new RunFolder(Folder[Straight]), new RunFolder(Folder[run]));
        return
        [
            .. RunComparison.Of(one, other, Steps).Where(values => values.Different > 0).Select(values => $"{values.Different} of {values.Values} {values.What} differ"),
            .. DifferentFiles(one.Final, other.Final, _ => true),
            .. DifferentFiles(one.Path, other.Path, name => name == RunFolder.LedgerFile),
            .. Log(one).SequenceEqual(Log(other)) ? [] : new[] { $"log.jsonl differs:\n{string.Join('\n', Log(other))}" },
            .. one.Checkpoints().Select(c => c.Step).SequenceEqual(other.Checkpoints().Select(c => c.Step)) ? [] : new[] { "other checkpoints were kept" },
            .. Leftovers(run),
        ];
    }

    /// <summary>The lines without what depends on the clock.</summary>
    private static List<string> Log(RunFolder run) => [.. run.Lines().Select(line =>
    {
        Array.ForEach(Times, time => line.Remove(time));
        return line.ToJsonString();
    })];
}

/// <summary>merge: at every moment the output is not there, or whole.</summary>
internal sealed class KilledMerge(TemporaryFolder folder) : KilledCommand("merge", folder)
{
    public override string[] Arguments(string run) =>
        ["merge", "--model", Folder["lora/final"], "--out", Folder[run], "--dtype", "fp32", "--device", "cpu", "--threads", "1"];

    public override IEnumerable<string> AfterKill(string run, CutoffResult killed) => Directory.Exists(Folder[run]) ? DifferentFiles(Folder[Straight], Folder[run], _ => true) : [];

    public override IEnumerable<string> Differences(string run) => [.. DifferentFiles(Folder[Straight], Folder[run], _ => true), .. Leftovers(run)];

    protected override void PrepareInputs() =>
        CutoffProcess.Run(TinyCheckpoint.FinetuneArguments(Folder, "lora", "--steps", "2", "--method", "lora", "--set", "lora_r=2")).Exits(0);
}

/// <summary>A measurement whose finished scores are in results.jsonl: whole lines stay, and are those of the run that nobody killed.</summary>
internal abstract class KilledMeasurement(string name, TemporaryFolder folder) : KilledCommand(name, folder)
{
    private readonly Dictionary<string, int> lines = [];
    private readonly Dictionary<string, string> outputs = [];

    public override void Ended(CutoffResult result, string run) => outputs[run] = Results(JsonNode.Parse(result.Output)!);

    public override IEnumerable<string> AfterKill(string run, CutoffResult killed)
    {
        var (straight, left) = (Lines(Straight), Lines(run));
        if (left.Length < lines.GetValueOrDefault(run))
        {
            yield return $"{left.Length} lines of results.jsonl are left of {lines[run]}";
        }

        lines[run] = left.Length;
        if (!straight.AsSpan().StartsWith(left))
        {
            yield return "results.jsonl has other scores";
        }
    }

    public override IEnumerable<string> Differences(string run)
    {
        lines.Remove(run);
        outputs.Remove(run, out var output);
        return
        [
            .. SameBytes(Folder[$"{Straight}/{RunFolder.ResultsFile}"], Folder[$"{run}/{RunFolder.ResultsFile}"]) ? [] : new[] { "results.jsonl differs" },
            .. output == outputs[Straight] ? [] : new[] { $"the results differ: {output}, not {outputs[Straight]}" },
            .. Leftovers(run),
        ];
    }

    /// <summary>What a run's JSON says that does not depend on the clock.</summary>
    protected abstract string Results(JsonNode json);

    /// <summary>The whole lines of the scores.</summary>
    private string[] Lines(string run) => File.Exists(Folder[$"{run}/{RunFolder.ResultsFile}"])
        ? File.ReadAllText(Folder[$"{run}/{RunFolder.ResultsFile}"]).Split('\n')[..^1]
        : [];
}

/// <summary>eval-ppl of two methods, batch by batch.</summary>
internal sealed class KilledEvalPpl(TemporaryFolder folder) : KilledMeasurement("eval-ppl", folder)
{
    public override string[] Arguments(string run) =>
    [
        "eval-ppl", "--model", Folder["model"], "--data", Folder["texts"], "--lengths", "32,64,128", "--rope", "rope", "dynamic-ntk", "--protocol", "pi-s16",
        "--batch-tokens", "256", "--out", Folder[run], "--cache-dir", CacheOf(run), "--dtype", "fp32", "--device", "cpu", "--threads", "1", "--json",
    ];

    public override IEnumerable<string> Differences(string run) =>
        [.. DifferentFiles(Folder[Straight], Folder[run], name => name == "ppl.csv"), .. base.Differences(run)];

    protected override string Results(JsonNode json) => json["results"]!.ToJsonString();
}

/// <summary>sweep: a cell before and one after fine-tuning.</summary>
internal sealed class KilledSweep(TemporaryFolder folder) : KilledMeasurement("sweep", folder)
{
    private const string Cell = "runs/ntk-96";

    private readonly SavedSteps saved = new();

    public override string[] Arguments(string run) =>
        ["sweep", "--config", Folder["sweep.yaml"], "--out", Folder[run], "--json", "--set", $"cache_dir={CacheOf(run)}"];

    public override IEnumerable<string> AfterKill(string run, CutoffResult killed) =>
        [.. saved.Check(run, new RunFolder(Folder[$"{run}/{Cell}"])), .. base.AfterKill(run, killed)];

    public override IEnumerable<string> Differences(string run)
    {
        saved.Forget(run);
        return [.. DifferentFiles(Folder[$"{Straight}/{Cell}/final"], Folder[$"{run}/{Cell}/final"], _ => true), .. base.Differences(run)];
    }

    protected override string Results(JsonNode json)
    {
        foreach (var training in json["cells"]!.AsArray().Select(cell => cell!["training"]).OfType<JsonObject>())
        {
            training.Remove("seconds");
        }

        return json["cells"]!.ToJsonString();
    }

    protected override void PrepareInputs() => Folder.Write("sweep.yaml", $"""
        model: {Folder["model"]}
        data: [{Folder["texts"]}]
        eval_data: [{Folder["texts"]}]
        ropes: [rope, ntk]
        finetune_ropes: [ntk]
        cutoffs: 96
        lengths: [32, 64, 128]
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
